"""The list of decisions is complete."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "adr"


def test_every_decision_is_in_the_list_and_none_is_missing() -> None:
    listed = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    there = sorted(file.name for file in FOLDER.glob("0*.md"))
    assert [file for _, file in listed] == there
    assert [int(file[:4]) for file in there] == list(range(1, len(there) + 1))
    assert [number for number, _ in listed] == [file[:4] for file in there]
