"""Every setting has its row in docs/settings.md, and every row its setting."""

import re
from pathlib import Path

from gateway.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    names = re.findall(r"^\| (`[^|]+`) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    rows = {name.strip("`") for cell in names for name in cell.split(", ")}
    assert rows == {name.upper() for name in Settings.model_fields}
