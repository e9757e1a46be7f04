"""One empty database for each test, and the store that keeps its messages there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.store import MessageStore
from gateway.store.sql_store import SqlStore
from tests.store.migrated import migrated
from tests.store.postgres import PostgresServer, requires_postgres
from tests.store.rigs import MemoryRig, PostgresRig, SqliteRig, SqlRig, StoreRig

SQL_RIGS = [SqliteRig, pytest.param(PostgresRig, marks=[pytest.mark.live, requires_postgres()])]


@pytest.fixture(params=[*SQL_RIGS, MemoryRig], ids=lambda rig: rig.__name__)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> StoreRig:
    rig: StoreRig = _made(request, tmp_path)
    return rig


@pytest.fixture(params=SQL_RIGS, ids=lambda rig: rig.__name__)
def sql_rig(request: pytest.FixtureRequest, tmp_path: Path) -> SqlRig:
    """Keys, templates, usage, and surviving kill -9 are for databases only."""
    rig: SqlRig = _made(request, tmp_path)
    return rig


def _made(request: pytest.FixtureRequest, folder: Path) -> Any:
    if request.param is PostgresRig:
        server: PostgresServer = request.getfixturevalue("postgres")
        return PostgresRig(server.emptied())
    rig = request.param(folder)
    if isinstance(rig, SqliteRig):
        migrated(rig.file)
    return rig


@pytest.fixture
async def store(rig: StoreRig) -> AsyncIterator[MessageStore]:
    async with asyncio.timeout(30), (kept := rig.store()).running():
        yield kept


@pytest.fixture
async def sql_store(sql_rig: SqlRig) -> AsyncIterator[SqlStore]:
    async with asyncio.timeout(30), (kept := sql_rig.store()).running():
        yield kept
