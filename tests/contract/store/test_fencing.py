"""A store writes only into replies that its gateway owns, in the epoch in which it owns them."""

from typing import Any

import pytest

from gateway.contract.exchanges import Checkpoint, Exchange, StoredError
from gateway.contract.record import replace
from gateway.contract.store import MessageStore
from tests.contract.store.test_unwritten_ends import told, until_written
from tests.store.exchanges import answer, both, question
from tests.store.rigs import StoreRig


async def taken_over(rig: StoreRig, store: MessageStore, **by: Any) -> Exchange:
    exchange = await store.begin(question(stream_id="s1"))
    await rig.take_over(exchange.assistant_message_id, "the adopter's", **by)
    return exchange


async def test_a_new_reply_belongs_to_the_gateway_that_began_it(rig: StoreRig, store: MessageStore) -> None:
    exchange = await store.begin(question())
    another = rig.store()

    owner, epoch, handle = await rig.ownership(exchange.assistant_message_id)
    assert (epoch, exchange.epoch, handle) == (0, 0, None)
    assert owner
    async with another.running(alone=False):
        begun = await another.begin(question())
        assert (await rig.ownership(begun.assistant_message_id))[0] != owner


@pytest.mark.parametrize(
    "by", [{"owner": "another", "epochs": 0}, {"owner": None, "epochs": 1}], ids=["owner", "epoch"]
)
async def test_a_reply_that_was_taken_over_keeps_the_text_of_who_took_it(
    rig: StoreRig, store: MessageStore, by: dict[str, Any]
) -> None:
    exchange = await taken_over(rig, store, **by)
    mine = await store.begin(question())
    late = [Checkpoint(mine.assistant_message_id, "a", None), _checkpoint(exchange)]

    assert await store.checkpoint(late) == [exchange.assistant_message_id]
    assert not await store.keep_handle(exchange, {"id": "h"})
    assert not await store.finish(answer(exchange, "mine"))
    store.finish_later(told(answer(exchange, "mine")))
    await until_written(store)

    kept = await store.reply("local", "s1")
    assert (kept.status, kept.content, kept.error) == ("streaming", "the adopter's", None)
    assert (await both(store, mine.session_id))[1].content == "a"


@pytest.mark.parametrize("over", ["streaming", "complete", "ended"])
async def test_a_reply_that_was_taken_over_and_ended_stays_as_it_is(
    rig: StoreRig, store: MessageStore, over: str
) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    assert await store.finish(answer(exchange, "whole"))
    await rig.take_over(exchange.assistant_message_id, "the adopter's")
    kept = await store.reply("local", "s1")

    assert not await store.finish(replace(answer(exchange, "mine", error=StoredError("x", "y")), over=over))  # type: ignore[arg-type]

    assert await store.reply("local", "s1") == kept


async def test_who_took_a_reply_over_writes_in_its_own_epoch(rig: StoreRig, store: MessageStore) -> None:
    exchange = await taken_over(rig, store, owner=None)
    adopted = await store.exchange("local", "s1")
    assert adopted == replace(exchange, epoch=1)

    assert await store.checkpoint([_checkpoint(adopted)]) == []
    assert await store.keep_handle(adopted, {"id": "h", "offset": 7})
    assert await store.finish(replace(answer(adopted, "whole"), epoch=1))

    assert (await store.reply("local", "s1")).content == "whole"


async def test_a_handle_is_kept_from_the_beginning_or_later_until_the_end(
    rig: StoreRig, store: MessageStore
) -> None:
    exchange = await store.begin(question(handle={"conversation": "é"}))
    assert (await rig.ownership(exchange.assistant_message_id))[2] == {"conversation": "é"}

    assert await store.keep_handle(exchange, {"worker": "w1"})
    await store.finish(answer(exchange))
    assert not await store.keep_handle(exchange, {"worker": "w2"})

    assert (await rig.ownership(exchange.assistant_message_id))[2] == {"worker": "w1"}


def _checkpoint(exchange: Exchange) -> Checkpoint:
    return Checkpoint(exchange.assistant_message_id, "mine", None, exchange.epoch)
