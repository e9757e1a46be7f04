"""systemd itself reads the shipped units and knows every line. tests/deploy checks what they say."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.live.programs import ROOT

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
MISSING = shutil.which("systemd-analyze") is None and os.environ.get("REQUIRE_LIVE") != "1"
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(MISSING, reason="needs systemd-analyze: apt-get install systemd"),
]


MOST_EXPOSED = 15
"""In tenths; systemd 252 rates both units 1.2 of 10, for their network."""


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_rates_a_unit_as_little_exposed(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(unit)]
    rated = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert rated.returncode == 0, rated.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    """Complaints about other units of the machine do not count."""
    program = shutil.which("true")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/sluice/bin/sluice", str(program)))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )
    assert [line for line in verified.stderr.splitlines() if unit.stem in line] == []
    assert verified.returncode == 0, verified.stderr
