"""`sluice db`, as an operator types it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from tests.store.postgres import PostgresServer, requires_postgres

Sluice = Callable[..., Result]


def sluice_on(database_url: str) -> Sluice:
    runner = CliRunner(env={"DATABASE_URL": database_url})
    return lambda *arguments: runner.invoke(app, arguments)


@pytest.fixture
def sluice(tmp_path: Path) -> Sluice:
    return sluice_on(f"sqlite+aiosqlite:///{tmp_path / 'sluice.db'}")


def check_upgrade(sluice: Sluice) -> None:
    before = sluice("db", "current")
    assert before.exit_code == 1
    assert before.output.startswith("none (the newest is 00")
    assert before.output.endswith("run `sluice db upgrade`)\n")
    assert "is upgraded from schema none to 00" in sluice("db", "upgrade").output
    assert sluice("db", "upgrade").output.endswith(": nothing to do.\n")
    after = sluice("db", "current")
    assert after.exit_code == 0
    assert after.output.endswith(" (the newest)\n")


def test_a_schema_is_upgraded_and_shown(sluice: Sluice) -> None:
    check_upgrade(sluice)


@pytest.mark.live
@requires_postgres()
def test_a_schema_of_postgresql_is_upgraded_before_other_commands_work(postgres: PostgresServer) -> None:
    sluice = sluice_on(postgres.database())
    refused = sluice("keys", "list")
    assert refused.exit_code == 1
    assert refused.output.endswith("is needed: run `sluice db upgrade`.\n")
    assert refused.output.count("\n") == 1

    check_upgrade(sluice)
    assert sluice("keys", "list").exit_code == 0
