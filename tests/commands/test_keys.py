"""`sluice keys`: which database it speaks of."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app


def test_a_new_key_names_the_database_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = CliRunner(env={"DATABASE_URL": "sqlite+aiosqlite:///here.db"}).invoke(
        app, ["keys", "create", "--user", "anna"]
    )
    assert made.exit_code == 0
    assert made.stdout.startswith("sk-")
    assert f"Its digest is in {tmp_path / 'here.db'}, which is DATABASE_URL." in made.stderr


def test_a_key_that_is_not_there_names_the_database_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    missed = CliRunner(env={"DATABASE_URL": "sqlite+aiosqlite:///here.db"}).invoke(
        app, ["keys", "revoke", "9"]
    )
    assert missed.exit_code == 1
    assert missed.stderr == f"sluice: no such key in {tmp_path / 'here.db'}\n"
