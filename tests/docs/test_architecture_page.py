"""docs/architecture.md names files and folders, and each of them exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def named() -> Iterator[str]:
    """Yield the paths in the tables. A file without a folder is in the folder named before it in its row."""
    for row in re.findall(r"^\|.*", PAGE, re.MULTILINE):
        folder = Path()
        for name in re.findall(r"`([\w/.]+)`", row):
            if "/" in name:
                folder = Path(name).parent if name.endswith(".py") else Path(name)
                yield name
            elif name.endswith(".py"):
                yield str(folder / name)


@pytest.mark.parametrize("path", sorted(set(named())))
def test_a_file_that_the_page_names_exists(path: str) -> None:
    assert (ROOT / path).exists(), f"docs/architecture.md names {path}, which does not exist"
