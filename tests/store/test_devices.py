"""The register of devices, and commands that visit the database beside a gateway."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.contract.errors import Conflict, StorageFailed
from gateway.store.sql_store import SqlStore
from tests.store.exchanges import question
from tests.store.rigs import SqliteRig


@pytest.fixture
def rig(tmp_path: Path) -> SqliteRig:
    return SqliteRig(tmp_path)


@pytest.fixture
async def store(rig: SqliteRig) -> AsyncIterator[SqlStore]:
    async with asyncio.timeout(30), (store := rig.store()).running():
        yield store


async def test_a_device_belongs_to_who_registered_it_until_it_is_removed(store: SqlStore) -> None:
    assert await store.device("robot-1") is None
    added = await store.add_device("robot-1", "anna")
    assert await store.device("robot-1") == added
    assert (added.name, added.user_id) == ("robot-1", "anna")
    assert await store.remove_device("robot-1")
    assert not await store.remove_device("robot-1")
    assert await store.device("robot-1") is None


async def test_a_device_is_registered_once_and_for_one_user(store: SqlStore) -> None:
    first = await store.add_device("robot-1", "anna")
    assert await store.add_device("robot-1", "anna") == first
    with pytest.raises(Conflict, match="anna"):
        await store.add_device("robot-1", "ben")
    outcomes = await asyncio.gather(
        *(store.add_device("robot-2", user) for user in ("anna", "ben")), return_exceptions=True
    )
    assert [type(outcome) is Conflict for outcome in outcomes] == [False, True]


async def test_devices_are_listed_by_name(store: SqlStore) -> None:
    for name in ("b", "c", "a"):
        await store.add_device(name, "anna")
    assert [device.name for device in await store.devices()] == ["a", "b", "c"]


async def test_a_visit_is_made_beside_a_gateway_at_work(rig: SqliteRig, store: SqlStore) -> None:
    with pytest.raises(StorageFailed, match="in use by another gateway"):
        async with rig.store().running():
            pass
    async with (visitor := rig.store()).running(alone=False):
        await visitor.add_device("robot-1", "anna")
    assert (await store.device("robot-1")) is not None
    await store.begin(question())
