"""Contract of message stores: renaming and deleting sessions."""

import pytest

from gateway.contract.errors import NotFound
from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.store import MessageStore
from tests.store.exchanges import answer, ask, question


async def test_a_new_title_is_found_and_the_old_one_is_not(store: MessageStore) -> None:
    session = await store.create_session("local", "Boats")
    renamed = await store.rename_session("local", session.id, "Größe & RIVERS")
    assert (renamed.title, renamed.id, renamed.updated_at) == (
        "Größe & RIVERS",
        session.id,
        session.updated_at,
    )
    assert await store.sessions("local", query="GRÖSSE & r") == [renamed]
    assert await store.sessions("local", query="boats") == []


async def test_a_session_is_found_by_the_texts_of_its_messages(store: MessageStore) -> None:
    herons = await ask(store, "Where do HERONS fish? 100% sure", "In a sluice's Tail water.")
    boats = await ask(store, "Where do boats go?", "Through the lock.")

    for query, wanted in [
        ("herons", herons),
        ("tail WATER", herons),
        ("0% s", herons),
        ("LOCK", boats),
        ("0_ s", None),
    ]:
        found = [session.id for session in await store.sessions("local", query=query)]
        assert found == ([] if wanted is None else [wanted.session_id]), query
    assert await store.sessions("eve", query="herons") == []


async def test_a_deleted_session_takes_its_messages_and_their_keys_along(store: MessageStore) -> None:
    claim = IdempotencyClaim("k", "f" * 64)
    exchange = await store.begin(question(stream_id="s1", idempotency=claim))
    other = await store.begin(question(stream_id="s2"))
    await store.delete_session("local", exchange.session_id)
    for missing in (
        store.session("local", exchange.session_id),
        store.messages("local", exchange.session_id),
        store.reply("local", "s1"),
        store.exchange("local", "s1"),
        store.delete_session("local", exchange.session_id),
    ):
        with pytest.raises(NotFound):
            await missing
    assert await store.claimed("local", "k") is None
    assert [session.id for session in await store.sessions("local")] == [other.session_id]


async def test_a_reply_of_a_deleted_session_can_be_kept_no_more(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    await store.delete_session("local", exchange.session_id)
    assert await store.finish(answer(exchange)) is False


async def test_another_users_session_is_neither_renamed_nor_deleted(store: MessageStore) -> None:
    session = await store.create_session("local", "Boats")
    for session_id in (session.id, session.id + 1, 0, 2**80):
        user = "eve" if session_id == session.id else "local"
        with pytest.raises(NotFound):
            await store.rename_session(user, session_id, "Mine")
        with pytest.raises(NotFound):
            await store.delete_session(user, session_id)
    assert await store.session("local", session.id) == session
