"""A gateway takes over the running replies of those that have died; of several that try, one gets a reply."""

import asyncio

from gateway.contract.adoption import LeftReply
from gateway.contract.continued import EPOCH_EVENTS
from gateway.contract.events import Usage
from gateway.contract.exchanges import Checkpoint, Exchange
from gateway.contract.journal import Position
from gateway.contract.record import replace
from gateway.contract.store import MessageStore
from gateway.store.adoption import AT_ONCE
from tests.contract.store.test_continued_replies import cut, going_on
from tests.store.exchanges import answer, question
from tests.store.rigs import StoreRig

HANDLE = {"conversation_id": "é" * 4, "reply": {"mode": "sse"}}


async def left(store: MessageStore, stream_id: str = "s1", text: str = "half") -> Exchange:
    """Begin a reply with a handle, and store some of its text."""
    exchange = await store.begin(question(stream_id=stream_id, handle=HANDLE))
    await store.checkpoint([Checkpoint(exchange.assistant_message_id, text, "thought")])
    return exchange


async def test_a_running_reply_is_taken_over_with_its_text_and_handle(rig: StoreRig) -> None:
    async with asyncio.timeout(30):
        async with (dead := rig.store()).running():
            exchange = await left(dead)
        async with (heir := rig.store()).running():
            taken = await heir.adopt(None)
            (reply,) = taken.replies
            assert (reply.user_id, reply.handle, taken.interrupted) == ("local", HANDLE, [])
            message = reply.message
            assert (message.status, message.content, message.reasoning) == ("streaming", "half", "thought")
            assert reply.exchange == replace(exchange, epoch=1)
            assert (await heir.adopt(None)).replies == []
            assert await heir.finish(answer(reply.exchange, "whole", epoch=1))
            assert (await heir.reply("local", "s1")).content == "whole"


async def test_a_reply_without_a_handle_is_interrupted(rig: StoreRig) -> None:
    async with asyncio.timeout(30):
        async with (dead := rig.store()).running():
            left = await dead.begin(question(stream_id="s1"))
            done = await dead.begin(question(stream_id="done", handle=HANDLE))
            await dead.finish(answer(done))
        async with (heir := rig.store()).running():
            taken = await heir.adopt(None)
            ids = (left.assistant_message_id, left.user_message_id)
            assert (taken.replies, taken.interrupted) == ([], [LeftReply(left.session_id, "s1", *ids)])
            kept = await heir.reply("local", "s1")
            assert (kept.status, kept.reason) == ("interrupted", "interrupted")
            assert (await heir.reply("local", "done")).status == "complete"


async def test_the_owner_of_before_changes_nothing_any_more(rig: StoreRig, store: MessageStore) -> None:
    exchange = await left(store)
    async with (heir := rig.store()).running(alone=False):
        await heir.adopt(None)

        late = Checkpoint(exchange.assistant_message_id, "late", None)
        assert await store.checkpoint([late]) == [exchange.assistant_message_id]
        assert not await store.keep_handle(exchange, {"conversation_id": "other"})
        assert not await store.finish(answer(exchange, "late"))
        assert (await heir.reply("local", "s1")).content == "half"


async def test_of_two_that_try_at_once_one_gets_each_reply(rig: StoreRig, store: MessageStore) -> None:
    for n in range(20):
        await left(store, str(n))
    first, second = rig.store(), rig.store()
    async with asyncio.timeout(60), first.running(alone=False), second.running(alone=False):
        both = await asyncio.gather(first.adopt(None), second.adopt(None))

        # The later one takes over what the earlier one has, since None means everybody else.
        assert {reply.exchange.epoch for reply in both[0].replies} <= {1, 2}
        owners = {(await rig.ownership(reply.message.id))[0] for taken in both for reply in taken.replies}
        assert len(owners) == 1


async def test_only_replies_of_the_dead_are_taken(rig: StoreRig, store: MessageStore) -> None:
    mine = await left(store)
    owner, _, _ = await rig.ownership(mine.assistant_message_id)
    async with (heir := rig.store()).running(alone=False):
        assert (await heir.adopt(["another", "third"])).replies == []
        assert (await heir.adopt([])).replies == []
        assert await store.checkpoint([Checkpoint(mine.assistant_message_id, "more", None)]) == []
        assert owner is not None
        (reply,) = (await heir.adopt(["another", owner])).replies
    assert reply.message.content == "more"


async def test_a_reply_is_taken_over_again_and_its_numbers_only_grow(rig: StoreRig) -> None:
    epochs: list[int] = []
    async with asyncio.timeout(30):
        async with (dead := rig.store()).running():
            await left(dead)
        for _ in range(3):
            async with (heir := rig.store()).running():
                (reply,) = (await heir.adopt(None)).replies
                epochs.append(reply.exchange.epoch)
        assert epochs == [1, 2, 3]
        assert reply.message.so_far().end == Position(4 * EPOCH_EVENTS, 4)


async def test_a_checkpoint_keeps_the_handle_that_belongs_to_its_text(
    rig: StoreRig, store: MessageStore
) -> None:
    exchange = await left(store)
    id = exchange.assistant_message_id
    await store.checkpoint([Checkpoint(id, "half of", None, handle={**HANDLE, "offset": 700})])
    assert (await rig.ownership(id))[2] == {**HANDLE, "offset": 700}
    await store.checkpoint([Checkpoint(id, "half of it", None)])
    assert (await rig.ownership(id))[2] == {**HANDLE, "offset": 700}


async def test_a_reply_that_goes_on_is_taken_over_with_its_new_handle(rig: StoreRig) -> None:
    async with asyncio.timeout(30):
        async with (dead := rig.store()).running():
            first = await cut(dead)
            new = await going_on(dead, first.assistant_message_id)
            await dead.begin(replace(new, handle=HANDLE))
        async with (heir := rig.store()).running():
            (reply,) = (await heir.adopt(None)).replies
    assert (reply.exchange.continues, reply.exchange.epoch, reply.handle) == (True, 2, HANDLE)
    assert (reply.message.content, reply.message.places[-1].chars) == ("Once upon", 9)
    assert reply.message.usage == Usage(3, 4, 7, 1.0)


async def test_many_replies_are_taken_over_in_parts_by_all_who_try(
    rig: StoreRig, store: MessageStore
) -> None:
    mine = [await left(store, str(n)) for n in range(2 * AT_ONCE + 1)]
    owner, _, _ = await rig.ownership(mine[0].assistant_message_id)
    assert owner is not None
    first, second = rig.store(), rig.store()
    async with asyncio.timeout(60), first.running(alone=False), second.running(alone=False):
        parts = [(await heir.adopt([owner])).replies for heir in (first, second, first, second)]
    assert [len(part) <= AT_ONCE for part in parts] == [True] * 4
    taken = [reply.message.id for part in parts for reply in part]
    assert sorted(taken) == [exchange.assistant_message_id for exchange in mine]
