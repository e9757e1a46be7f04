"""Contract of message stores: sessions requested by their key."""

import pytest

from gateway.contract.errors import NotFound
from gateway.contract.store import MessageStore


async def test_a_session_is_found_by_its_key(store: MessageStore) -> None:
    started = await store.create_session("local", "title")
    assert await store.session_named("local", started.key) == started


async def test_a_session_is_found_by_its_uuid(store: MessageStore) -> None:
    started = await store.create_session("local", "title")
    assert await store.session_named("local", started.uuid) == started
    with pytest.raises(NotFound):
        await store.session_named("eve", started.uuid)


async def test_a_key_that_is_unknown_or_somebody_elses_is_not_found(store: MessageStore) -> None:
    started = await store.create_session("anna", "title")
    for key in (started.key, "local-none", "\0", ""):
        with pytest.raises(NotFound):
            await store.session_named("local", key)
