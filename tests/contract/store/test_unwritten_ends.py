"""Contract of message stores: a reply's end that readers got before it was written."""

import asyncio

from gateway.contract.events import ToolCall, Usage
from gateway.contract.exchanges import Checkpoint, FinalReply, StoredError
from gateway.contract.record import replace
from gateway.contract.store import MessageStore
from tests.store.exchanges import answer, ask, both, question


def told(exchange_reply: FinalReply) -> FinalReply:
    error = StoredError("storage_failed", "The database took no changes.")
    return replace(exchange_reply, status="failed", reason="storage_failed", error=error)


async def until_written(store: MessageStore) -> None:
    """Wait for postponed writes: they are made with the next change, before the one after it."""
    for _ in range(2):
        await store.create_session("local", "")


async def test_readers_are_given_it_at_once_and_the_database_has_it_soon(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    await store.checkpoint([Checkpoint(exchange.assistant_message_id, "half", None)])
    calls = (ToolCall("c1", "open", "{}"),)
    store.finish_later(told(answer(exchange, "whole", tool_calls=calls, tool_call_seqs=(3,), last_seq=9)))

    shown = await store.reply("local", "s1")
    assert (await both(store, exchange.session_id))[1] == shown
    await until_written(store)

    assert await store.reply("local", "s1") == shown
    assert (shown.status, shown.reason, shown.content) == ("failed", "storage_failed", "whole")
    assert (shown.tool_calls, shown.last_seq) == (calls, 9)
    assert not await store.finish(answer(exchange))


async def test_it_stands_over_whatever_ended_the_row(store: MessageStore) -> None:
    cut_off, complete = await store.begin(question()), await ask(store, "q", "a")
    await store.finish(answer(cut_off, status="interrupted", reason="shutdown"))
    for exchange in (cut_off, complete):
        store.finish_later(told(answer(exchange, "as told")))
    await until_written(store)

    for exchange in (cut_off, complete):
        kept = (await both(store, exchange.session_id))[1]
        assert (kept.status, kept.reason, kept.content) == ("failed", "storage_failed", "as told")


async def test_a_reply_that_was_deleted_stays_away(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    await store.delete_session("local", exchange.session_id)
    store.finish_later(told(answer(exchange)))
    await until_written(store)

    assert exchange.session_id not in [session.id for session in await store.sessions("local")]


async def test_the_latest_end_of_a_reply_is_the_one_that_counts(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    for text in ("first", "second"):
        store.finish_later(told(answer(exchange, text)))
    assert (await store.reply("local", "s1")).content == "second"
    await until_written(store)
    assert (await store.reply("local", "s1")).content == "second"


async def test_an_end_with_something_that_cannot_be_kept_is_kept_without_it(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    calls = (ToolCall("c1", "open", "{}"),)
    store.finish_later(told(answer(exchange, "text", tool_calls=calls, last_seq=2**70, reasoning="hm")))
    async with asyncio.timeout(30):
        await until_written(store)
        await until_written(store)

    kept = await store.reply("local", "s1")
    assert (kept.status, kept.reason, kept.content) == ("failed", "storage_failed", "text")
    assert kept.last_seq is None


async def test_what_it_used_is_counted_once(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    store.finish_later(told(answer(exchange, "text", usage=Usage(3, 4, 7))))
    await until_written(store)
    kept = await store.reply("local", "s1")
    assert kept.usage == Usage(3, 4, 7)
