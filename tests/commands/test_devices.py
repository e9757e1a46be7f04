"""`sluice devices`, as an operator types it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app

Sluice = Callable[..., Result]


@pytest.fixture
def sluice(tmp_path: Path) -> Sluice:
    runner = CliRunner(env={"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'sluice.db'}"})
    return lambda *arguments: runner.invoke(app, ["devices", *arguments])


def test_a_device_is_added_listed_and_removed(sluice: Sluice) -> None:
    empty = sluice("list")
    assert empty.stdout == ""
    assert re.search(
        r"^No devices are in /.*/sluice\.db, which is DATABASE_URL\.$", empty.stderr, re.MULTILINE
    )
    added = sluice("add", "robot-1", "--user", "anna")
    assert (added.exit_code, added.stdout) == (0, "robot-1 belongs to anna.\n")
    assert re.search(r"registered in /.*/sluice\.db, which is DATABASE_URL", added.stderr)
    assert sluice("list").output.startswith("robot-1\tanna\t")
    assert sluice("remove", "robot-1").exit_code == 0
    assert sluice("list").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "robot/1", "--user", "anna"), "is no name"),
        (("add", "", "--user", "anna"), "is no name"),
        (("add", "robot-1", "--user", "ben"), "already registered for anna"),
        (("remove", "robot-2"), "no such device"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_an_exit_code(
    sluice: Sluice, arguments: tuple[str, ...], said: str
) -> None:
    sluice("add", "robot-1", "--user", "anna")
    refused = sluice(*arguments)
    assert refused.exit_code == 1
    assert said in refused.output
    assert refused.output.count("\n") == 1
