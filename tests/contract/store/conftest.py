"""One empty database for each test, and the store that keeps its messages there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.contract.store import MessageStore
from tests.store.rigs import STORE_RIGS, StoreRig


@pytest.fixture(params=STORE_RIGS, ids=lambda rig: rig.__name__)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> StoreRig:
    make: Callable[[Path], StoreRig] = request.param
    return make(tmp_path)


@pytest.fixture
async def store(rig: StoreRig) -> AsyncIterator[MessageStore]:
    async with asyncio.timeout(30), (kept := rig.store()).running():
        yield kept
