"""`sluice keys`: which database it speaks of."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(*words: str) -> Result:
    return CliRunner(env={"DATABASE_URL": "sqlite+aiosqlite:///here.db", "COLUMNS": "200"}).invoke(
        app, ["keys", *words]
    )


def test_limits_of_a_key_are_listed_changed_and_removed(home: Path) -> None:
    made = keys("create", "--user", "anna", "--tokens-per-day", "1000", "--expires", "2099-01-31")
    assert made.exit_code == 0
    assert "\t0 of 1000 tokens today\t" in keys("list").stdout
    assert keys("list").stdout.endswith("\texpires 2099-01-31 00:00\n")
    changed = keys("set", "1", "--tokens-per-day", "5", "--expires", "never")
    assert changed.stdout == "Key 1 of anna is changed.\n"
    assert "\t0 of 5 tokens today\t" in keys("list").stdout
    assert keys("list").stdout.endswith("\tlives\n")
    assert keys("set", made.stdout[:11], "--tokens-per-day", "none").exit_code == 0
    assert "tokens today" not in keys("list").stdout


def test_a_revoked_or_unknown_key_is_not_changed(home: Path) -> None:
    keys("create", "--user", "anna")
    keys("revoke", "1")
    revoked, unknown = keys("set", "1", "--expires", "1d"), keys("set", "7", "--expires", "1d")
    assert (revoked.exit_code, revoked.stderr) == (1, "sluice: key 1 is revoked\n")
    assert (unknown.exit_code, unknown.stderr) == (1, f"sluice: no such key in {home / 'here.db'}\n")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--tokens-per-day", "0"), "must be 1 to 1000000000000, or none"),
        (("--tokens-per-day=-4",), "must be 1 to 1000000000000, or none"),
        (("--tokens-per-day", "9" * 40), "must be 1 to 1000000000000, or none"),
        (("--tokens-per-day", "1k"), "must be 1 to 1000000000000, or none"),
        (("--expires", "2020-01-01"), "lies in the past: 2020-01-01 00:00 UTC"),
        (("--expires", "30 days"), "must be a time from now such as 12h, 30d or 8w"),
        ((), "give --tokens-per-day or --expires"),
    ],
)
def test_limits_that_do_not_fit_are_refused(home: Path, words: tuple[str, ...], problem: str) -> None:
    keys("create", "--user", "anna")
    refused = keys("set", "1", *words)
    assert refused.exit_code == 2
    assert problem in " ".join(refused.stderr.replace("│", " ").split())
    created = keys("create", "--user", "ben", *words)
    assert created.exit_code == (2 if words else 0)


def test_the_commands_refuse_what_they_cannot_mean(home: Path) -> None:
    for wrong in (["two words"], ["anna", "--scopes", "root"], ["anna", "--rate", "0"]):
        assert keys("create", "--user", *wrong).exit_code == 2
    made = [keys("create", "--user", "anna").stdout.split()[0] for _ in range(2)]
    for meant in ("", "sk-", "3", draws_nobody(made)):
        refused = keys("revoke", "--", meant)
        assert (refused.exit_code, "no such key" in refused.stderr) == (1, True)
    assert "is revoked" in keys("revoke", made[1]).stdout
    assert ["lives" in line for line in keys("list").stdout.splitlines()] == [True, False]


def draws_nobody(made: list[str]) -> str:
    """Return a key's beginning that none of these keys has."""
    return next(f"sk-{c * 4}" for c in "abc" if not any(key.startswith(f"sk-{c * 4}") for key in made))
