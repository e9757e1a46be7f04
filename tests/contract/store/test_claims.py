"""Contract of message stores: idempotency keys."""

import asyncio
from datetime import timedelta

import pytest

from gateway.contract.errors import Conflict, NotFound
from gateway.contract.exchanges import ClaimedStream, IdempotencyClaim
from gateway.contract.store import MessageStore
from tests.store.exchanges import question
from tests.store.rigs import StoreRig

CLAIM = IdempotencyClaim("k", "f" * 64)


async def test_an_idempotency_key_is_claimed_once_by_each_user(store: MessageStore) -> None:
    await store.begin(question(idempotency=CLAIM))

    outcomes = await asyncio.gather(
        *(
            store.begin(question(user_id=user, idempotency=CLAIM))
            for user in ("local", "anna", "anna", "ben")
        ),
        store.begin(question(user_id="ben")),
        return_exceptions=True,
    )

    assert [type(outcome) is Conflict for outcome in outcomes] == [True, False, True, False, False]
    assert [len(await store.sessions(user)) for user in ("local", "anna", "ben")] == [1, 1, 2]


async def test_a_key_tells_what_it_was_used_for_and_only_to_its_user(store: MessageStore) -> None:
    await store.begin(question(stream_id="s1", idempotency=CLAIM))

    assert await store.claimed("local", "k") == ClaimedStream("f" * 64, "s1")
    assert await store.claimed("local", "other") is None
    assert await store.claimed("eve", "k") is None


async def test_a_question_that_is_refused_uses_no_key(store: MessageStore) -> None:
    with pytest.raises(NotFound):
        await store.begin(question(7, idempotency=CLAIM))

    assert await store.claimed("local", "k") is None
    await store.begin(question(idempotency=CLAIM))


async def test_a_key_lives_for_24_hours(rig: StoreRig, store: MessageStore) -> None:
    await store.begin(question(stream_id="s1", idempotency=CLAIM))

    rig.later(timedelta(hours=23, minutes=59))
    with pytest.raises(Conflict):
        await store.begin(question(idempotency=CLAIM))
    assert await store.claimed("local", "k") == ClaimedStream(CLAIM.fingerprint, "s1")

    rig.later(timedelta(minutes=1))
    assert await store.claimed("local", "k") is None


async def test_a_key_that_is_too_old_is_claimed_anew_by_one(rig: StoreRig, store: MessageStore) -> None:
    first = await store.begin(question(stream_id="s1", idempotency=CLAIM))
    rig.later(timedelta(hours=24))
    anew = [question(stream_id=stream, idempotency=IdempotencyClaim("k", "other")) for stream in ("s2", "s3")]

    outcomes = await asyncio.gather(*map(store.begin, anew), return_exceptions=True)

    assert [type(outcome) is Conflict for outcome in outcomes] == [False, True]
    assert await store.claimed("local", "k") == ClaimedStream("other", "s2")
    assert await store.exchange("local", "s1") == first


async def test_a_key_survives_a_restart_until_it_is_too_old(rig: StoreRig) -> None:
    async with asyncio.timeout(30):
        async with (store := rig.store()).running():
            await store.begin(question(stream_id="s1", idempotency=CLAIM))
        async with (store := rig.store()).running():
            assert await store.claimed("local", "k") == ClaimedStream(CLAIM.fingerprint, "s1")
        rig.later(timedelta(hours=24))
        async with (store := rig.store()).running():
            assert await store.claimed("local", "k") is None
