"""One empty database for each test, and the store that keeps its messages there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.contract.store import MessageStore
from gateway.store.sql_store import SqlStore
from tests.store.rigs import SQL_RIGS, STORE_RIGS, SqliteRig, StoreRig


@pytest.fixture(params=STORE_RIGS, ids=lambda rig: rig.__name__)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> StoreRig:
    make: Callable[[Path], StoreRig] = request.param
    return make(tmp_path)


@pytest.fixture(params=SQL_RIGS, ids=lambda rig: rig.__name__)
def sql_rig(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteRig:
    """Keys, templates, usage, and surviving kill -9 are for databases only."""
    make: Callable[[Path], SqliteRig] = request.param
    return make(tmp_path)


@pytest.fixture
async def store(rig: StoreRig) -> AsyncIterator[MessageStore]:
    async with asyncio.timeout(30), (kept := rig.store()).running():
        yield kept


@pytest.fixture
async def sql_store(sql_rig: SqliteRig) -> AsyncIterator[SqlStore]:
    async with asyncio.timeout(30), (kept := sql_rig.store()).running():
        yield kept
