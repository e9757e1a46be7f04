"""Contract of message stores: a reply that grows and ends."""

import asyncio

from gateway.contract.errors import StorageFailed
from gateway.contract.events import ToolCall, Usage
from gateway.contract.exchanges import Checkpoint, StoredError
from gateway.contract.record import replace
from gateway.contract.store import MessageStore
from tests.store.exchanges import answer, ask, both, question
from tests.store.rigs import StoreRig


async def test_everything_about_a_reply_is_given_back(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    final = answer(
        exchange,
        "half",
        status="failed",
        reason="gap",
        delivery="chunked",
        mode="mqtt",
        reasoning="hm",
        tool_calls=(ToolCall("c1", "open", '{"gate": '),),
        model="tiny",
        usage=Usage(3, 4, 7, 12.5),
        ttft_ms=41.5,
        tool_call_seqs=(5,),
        last_seq=9,
        error=StoredError("gap", "frames are missing", retryable=False),
    )

    assert await store.finish(final)

    kept = await store.reply("local", "s1")
    _, listed = await both(store, exchange.session_id)
    assert kept == listed
    told = set(final.__struct_fields__) - {
        "assistant_message_id",
        "over",
        "epoch",
        "counted",
        "charge",
    }
    assert {name: getattr(kept, name) for name in told} == {name: getattr(final, name) for name in told}


async def test_a_checkpoint_is_kept_while_the_reply_streams(store: MessageStore) -> None:
    first, second = await store.begin(question()), await store.begin(question())

    await store.checkpoint(
        [
            Checkpoint(first.assistant_message_id, "one", None),
            Checkpoint(second.assistant_message_id, "two", "thought"),
        ]
    )

    assert (await both(store, first.session_id))[1].content == "one"
    kept = (await both(store, second.session_id))[1]
    assert (kept.content, kept.reasoning, kept.status) == ("two", "thought", "streaming")


async def test_nothing_changes_a_reply_that_is_finished(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    assert await store.finish(answer(exchange, "whole"))
    kept = await store.reply("local", "s1")

    await store.checkpoint([Checkpoint(exchange.assistant_message_id, "late", None)])
    assert not await store.finish(answer(exchange, "again", status="failed", reason="timeout"))

    assert await store.reply("local", "s1") == kept


async def test_a_stop_while_pacing_rewrites_a_complete_reply_once(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    shown = answer(exchange, "who", status="cancelled", reason="user_stop", over="complete", last_seq=4)

    assert await store.finish(answer(exchange, "whole", last_seq=7))
    assert await store.finish(shown)
    assert not await store.finish(shown)

    kept = await store.reply("local", "s1")
    assert (kept.status, kept.reason, kept.content) == ("cancelled", "user_stop", "who")
    assert kept.last_seq == 4


async def test_a_stop_before_the_whole_reply_was_kept_is_kept_too(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))

    assert await store.finish(
        answer(exchange, "who", status="cancelled", reason="user_stop", over="complete")
    )

    kept = await store.reply("local", "s1")
    assert (kept.status, kept.content) == ("cancelled", "who")


async def test_a_reply_that_does_not_exist_is_not_finished(store: MessageStore) -> None:
    exchange = await store.begin(question())

    assert not await store.finish(answer(replace(exchange, assistant_message_id=999_999)))


async def test_what_is_handed_over_at_once_is_applied_in_order(store: MessageStore) -> None:
    exchanges = await asyncio.gather(*(store.begin(question()) for _ in range(20)))

    async def said(text: str, at: int) -> None:
        await store.checkpoint([Checkpoint(exchanges[at].assistant_message_id, text, None)])

    outcomes = await asyncio.gather(
        *(said(text, at) for text in ("a", "ab", "abc") for at in range(20)),
        *(store.finish(answer(exchange, "abcd")) for exchange in exchanges[:10]),
        *(said("late", at) for at in range(10)),
        *(store.finish(answer(exchange, "second")) for exchange in exchanges[:10]),
    )

    assert outcomes[60:70] == [True] * 10
    assert outcomes[80:] == [False] * 10
    kept = [(await both(store, exchange.session_id))[1] for exchange in exchanges]
    assert [reply.content for reply in kept] == ["abcd"] * 10 + ["abc"] * 10
    assert [reply.status for reply in kept] == ["complete"] * 10 + ["streaming"] * 10


async def test_a_sweep_interrupts_what_still_streams_and_keeps_its_text(
    rig: StoreRig,
) -> None:
    async with asyncio.timeout(30):
        async with (store := rig.store()).running():
            done = await ask(store, "q", "whole")
            dead = await store.begin(question(stream_id="dead"))
            await store.checkpoint([Checkpoint(dead.assistant_message_id, "half", None)])
        async with (store := rig.store()).running():
            mine = await store.begin(question(stream_id="mine"))

            assert await store.sweep() == 1
            assert await store.sweep() == 0

            kept = await store.reply("local", "dead")
            assert (kept.status, kept.reason, kept.content) == ("interrupted", "interrupted", "half")
            assert (kept.last_seq, kept.tool_call_seqs) == (None, ())
            assert (await both(store, done.session_id))[1].status == "complete"
            assert not await store.finish(answer(dead))
            assert (await store.exchange("local", "dead")).epoch == 1
            assert await store.finish(answer(mine))


async def test_one_change_that_cannot_be_kept_fails_alone(store: MessageStore) -> None:
    exchanges = [await store.begin(question()) for _ in range(5)]
    replies = [answer(exchange, str(at)) for at, exchange in enumerate(exchanges)]
    replies[2] = replace(replies[2], usage=Usage(0, 0, 10**30))

    outcomes = await asyncio.gather(*map(store.finish, replies), return_exceptions=True)

    assert isinstance(outcomes.pop(2), StorageFailed)
    assert outcomes == [True] * 4
    statuses = [(await both(store, exchange.session_id))[1].status for exchange in exchanges]
    assert statuses == ["complete", "complete", "streaming", "complete", "complete"]


async def test_a_checkpoint_keeps_the_lengths_of_the_events_with_the_text(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    message_id = exchange.assistant_message_id
    for text, lengths in (("He", b"\0\x04\0\0\0"), ("Hello", None), ("Hello!", b"\0\x0c\0\0\0")):
        assert await store.checkpoint([Checkpoint(message_id, text, None, 0, lengths)]) == []
        kept = await store.reply("local", "s1")
        assert (kept.content, kept.event_lengths) == (text, lengths)
