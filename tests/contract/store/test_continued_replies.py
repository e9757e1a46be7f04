"""Contract of message stores: a stored reply that goes on in its own message."""

import asyncio

import pytest

from gateway.contract.branches import Spot
from gateway.contract.continued import EPOCH_EVENTS
from gateway.contract.errors import Conflict, NotFound
from gateway.contract.events import Usage
from gateway.contract.exchanges import Checkpoint, Exchange, IdempotencyClaim, NewExchange, StoredError
from gateway.contract.journal import Position
from gateway.contract.record import replace
from gateway.contract.store import MessageStore
from tests.store.exchanges import answer, question
from tests.store.rigs import StoreRig


async def cut(store: MessageStore, content: str = "Once upon", **more: object) -> Exchange:
    """Store a question and a reply that was cut off."""
    exchange = await store.begin(question(stream_id="s1"))
    given = {"reason": "length", "last_seq": 7, "usage": Usage(3, 4, 7, 1.0)} | more
    assert await store.finish(answer(exchange, content, **given))
    return exchange


async def going_on(store: MessageStore, message_id: int, **more: object) -> NewExchange:
    message = await store.message("local", message_id)
    return question(message.session_id, stream_id="s1", continues=message.so_far(), **more)


async def test_a_reply_goes_on_in_its_message_and_stream(store: MessageStore) -> None:
    first = await cut(store, error=StoredError("timeout", "Too slow."), status="failed", event_lengths=b"x")

    again = await store.begin(await going_on(store, first.assistant_message_id, mode="mqtt"))

    assert again == replace(first, epoch=1, opens_session=again.opens_session)
    assert (again.new_question, again.continues) == (False, True)
    _, running = await store.messages("local", first.session_id)
    assert (running.status, running.reason, running.error, running.content) == (
        "streaming",
        None,
        None,
        "Once upon",
    )
    assert running.mode == "mqtt"
    checkpoint = Checkpoint(first.assistant_message_id, "Once upon a", None, epoch=1)
    assert await store.checkpoint([checkpoint]) == []
    ended = answer(again, "Once upon a time", epoch=1, last_seq=12, usage=Usage(9, 9, 18, 2.0))
    assert await store.finish(ended)
    whole = await store.reply("local", "s1")
    assert (whole.content, whole.status, whole.last_seq) == ("Once upon a time", "complete", 12)
    assert whole.places == (Position(7, 9),)
    assert whole.event_lengths is None
    assert whole.so_far().places == (Position(7, 9), Position(12, 16))


async def test_only_one_of_two_that_continue_at_once_does(store: MessageStore) -> None:
    first = await cut(store)
    twice = [await going_on(store, first.assistant_message_id) for _ in range(2)]

    told = await asyncio.gather(*map(store.begin, twice), return_exceptions=True)

    assert [type(each) for each in told] == [Exchange, Conflict]
    with pytest.raises(Conflict):
        await store.begin(twice[0])


async def test_a_reply_that_has_changed_since_it_was_read_is_not_continued(store: MessageStore) -> None:
    first = await cut(store)
    old = await going_on(store, first.assistant_message_id)
    again = await store.begin(old)
    assert await store.finish(answer(again, "Once upon a time", epoch=1, reason="length"))

    with pytest.raises(Conflict):
        await store.begin(old)

    assert (await store.reply("local", "s1")).content == "Once upon a time"


async def test_a_reply_that_a_message_follows_is_not_continued(store: MessageStore) -> None:
    first = await cut(store)
    new = await going_on(store, first.assistant_message_id)
    await store.begin(question(first.session_id))

    with pytest.raises(Conflict):
        await store.begin(new)


async def test_the_end_of_the_first_part_cannot_be_written_any_more(store: MessageStore) -> None:
    first = await cut(store)
    again = await store.begin(await going_on(store, first.assistant_message_id))

    assert await store.checkpoint([Checkpoint(first.assistant_message_id, "stale", None)]) == [
        first.assistant_message_id
    ]
    assert not await store.finish(answer(first, "stale", over="ended"))

    assert await store.finish(answer(again, "Once upon a time", epoch=1))
    assert (await store.reply("local", "s1")).content == "Once upon a time"


async def test_the_session_shows_the_reply_that_goes_on(store: MessageStore) -> None:
    first = await cut(store)
    other = await store.begin(question(first.session_id, branch=Spot(*[first.user_message_id] * 2)))
    assert await store.finish(answer(other, "Other"))

    again = await store.begin(await going_on(store, first.assistant_message_id))
    assert await store.finish(answer(again, "Once upon a time", epoch=1))

    shown = await store.messages("local", first.session_id, path=True)
    assert [message.content for message in shown] == ["What is a sluice?", "Once upon a time"]


async def test_a_key_that_continued_leads_to_the_stream(store: MessageStore) -> None:
    first = await cut(store)
    claim = IdempotencyClaim("k", "f" * 64)
    await store.begin(await going_on(store, first.assistant_message_id, idempotency=claim))

    claimed = await store.claimed("local", "k")

    assert claimed is not None
    assert claimed.stream_id == "s1"


async def test_another_users_reply_is_not_continued(store: MessageStore) -> None:
    first = await cut(store)
    new = await going_on(store, first.assistant_message_id)

    with pytest.raises(NotFound):
        await store.begin(replace(new, user_id="eve"))

    assert (await store.reply("local", "s1")).status == "complete"


async def test_a_crash_while_it_goes_on_leaves_it_to_be_continued(rig: StoreRig) -> None:
    async with asyncio.timeout(30), (store := rig.store()).running():
        first = await cut(store)
        await store.begin(await going_on(store, first.assistant_message_id))
    async with asyncio.timeout(30), (store := rig.store()).running():
        assert await store.sweep() == 1
        left = await store.reply("local", "s1")
        assert (left.status, left.content) == ("interrupted", "Once upon")
        assert left.so_far().end == Position(3 * EPOCH_EVENTS, 9)
        assert (await store.begin(await going_on(store, left.id))).epoch == 3
