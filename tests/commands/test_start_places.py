"""Commands that are started where nothing can run: in a deleted folder, or with too few open files."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.programs import ROOT, clean_environment

SLUICE = [sys.executable, "-m", "gateway"]


@pytest.mark.parametrize("command", [["serve"], ["doctor"]])
def test_a_deleted_folder_is_told_in_one_line(tmp_path: Path, command: list[str]) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    done = started(["sh", "-c", script, "sh", *SLUICE, *command], tmp_path)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        ["sluice: The current folder was deleted: start in another one."],
    )


@pytest.mark.parametrize("command", [["serve"], ["worker", "--name", "w", "--broker", "localhost"]])
def test_too_few_open_files_are_told_in_one_line(tmp_path: Path, command: list[str]) -> None:
    done = started(["sh", "-c", 'ulimit -n 40 && exec "$@"', "sh", *SLUICE, *command], tmp_path)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        ["sluice: At most 40 files may be open (ulimit -n): the start needs 64."],
    )


def started(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    env = clean_environment(PYTHONPATH=str(ROOT))
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
