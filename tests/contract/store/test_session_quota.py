"""Contract of message stores: the maximum number of sessions per user."""

import asyncio

import pytest

from gateway.contract.errors import QuotaReached
from tests.store.exchanges import question
from tests.store.rigs import StoreRig


async def test_a_user_keeps_only_so_many_sessions_and_may_delete_some(rig: StoreRig) -> None:
    async with (store := rig.store(sessions_per_user=2)).running():
        first = await store.create_session("local", "")
        second = (await store.begin(question())).session_id
        for _ in range(2):
            with pytest.raises(QuotaReached, match="SESSIONS_PER_USER"):
                await store.create_session("local", "")
            with pytest.raises(QuotaReached):
                await store.begin(question())
        await store.begin(question(second))
        await store.create_session("ben", "")
        await store.delete_session("local", first.id)
        await store.begin(question())
        assert len(await store.sessions("local")) == 2


async def test_those_that_are_there_at_the_start_count(rig: StoreRig) -> None:
    async with (store := rig.store()).running():
        await store.create_session("local", "")
    async with (store := rig.store(sessions_per_user=1)).running():
        with pytest.raises(QuotaReached):
            await store.create_session("local", "")


async def test_of_many_at_once_as_many_as_fit_are_kept(rig: StoreRig) -> None:
    async with (store := rig.store(sessions_per_user=3)).running():
        begun = await asyncio.gather(*(store.begin(question()) for _ in range(10)), return_exceptions=True)
        assert sum(isinstance(outcome, QuotaReached) for outcome in begun) == 7
        assert len(await store.sessions("local")) == 3


async def test_a_thread_that_goes_on_needs_no_room(rig: StoreRig) -> None:
    async with (store := rig.store(sessions_per_user=1)).running():
        await store.begin(question(thread="t"))
        await store.begin(question(thread="t"))
