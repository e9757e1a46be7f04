"""Contract of message stores: deleting one reply of a session."""

import pytest

from gateway.contract.branches import Branch
from gateway.contract.errors import NotFound
from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.store import MessageStore
from tests.store.exchanges import answer, ask, question


async def test_it_takes_its_question_and_its_key_along(store: MessageStore) -> None:
    claim = IdempotencyClaim("k", "f" * 64)
    exchange = await store.begin(question(stream_id="s1", idempotency=claim))
    assert await store.finish(answer(exchange))
    await store.delete_reply("local", "s1")
    assert list(await store.messages("local", exchange.session_id)) == []
    assert await store.claimed("local", "k") is None
    for missing in (
        store.reply("local", "s1"),
        store.exchange("local", "s1"),
        store.delete_reply("local", "s1"),
    ):
        with pytest.raises(NotFound):
            await missing


async def test_what_came_after_it_follows_what_came_before(store: MessageStore) -> None:
    first = await ask(store, "One", "1")
    second = await ask(store, "Two", "2", first.session_id)
    third = await ask(store, "Three", "3", first.session_id)
    kept = await store.messages("local", first.session_id)
    stream_id = next(each.stream_id for each in kept if each.id == second.assistant_message_id)
    assert stream_id is not None
    await store.delete_reply("local", stream_id)
    kept = await store.messages("local", first.session_id)
    assert [message.content for message in kept] == ["One", "1", "Three", "3"]
    assert kept[2].id == third.user_message_id
    assert kept[2].parent_id == first.assistant_message_id


async def test_a_question_with_another_reply_stays(store: MessageStore) -> None:
    first = await store.begin(question(stream_id="s1", content="Why?"))
    assert await store.finish(answer(first, "Because."))
    again = Branch("s1", "again")
    second = await store.begin(question(first.session_id, stream_id="s2", content="Why?", branch=again))
    assert await store.finish(answer(second, "It is so."))
    await store.delete_reply("local", "s1")
    kept = await store.messages("local", first.session_id)
    assert [message.content for message in kept] == ["Why?", "It is so."]
    await store.delete_reply("local", "s2")
    assert list(await store.messages("local", first.session_id)) == []


async def test_a_deleted_reply_can_be_kept_no_more(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    await store.delete_reply("local", "s1")
    assert await store.finish(answer(exchange)) is False


async def test_another_users_reply_is_not_deleted(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    with pytest.raises(NotFound):
        await store.delete_reply("eve", "s1")
    assert len(await store.messages("local", exchange.session_id)) == 2
