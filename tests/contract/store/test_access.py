"""Every message store asks Access who may see a session, write into it, and manage it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.contract.authors import Author
from gateway.contract.errors import NotFound
from gateway.contract.exchanges import Exchange
from gateway.contract.notes import NewNote
from gateway.contract.store import MessageStore
from gateway.core.access import OwnerAccess
from tests.store.exchanges import answer, question
from tests.store.rigs import StoreRig

Call = Callable[[MessageStore, str, Exchange], Awaitable[object]]

SEES: dict[str, Call] = {
    "session": lambda store, user, known: store.session(user, known.session_id),
    "session by key": lambda store, user, known: store.session_named(user, known.session_key),
    "session by uuid": lambda store, user, known: store.session_named(user, known.session_uuid),
    "messages": lambda store, user, known: store.messages(user, known.session_id),
    "history": lambda store, user, known: store.history(user, known.session_id, max_chars=100),
    "sessions behind one": lambda store, user, known: store.sessions(user, before=known.session_id),
    "reply": lambda store, user, known: store.reply(user, "annas"),
    "exchange": lambda store, user, known: store.exchange(user, "annas"),
}
WRITES: dict[str, Call] = {
    "begin": lambda store, user, known: store.begin(question(known.session_id, user_id=user)),
    "post": lambda store, user, known: store.post(
        NewNote(user, known.session_id, Author("user", user), "Hello")
    ),
}
MANAGES: dict[str, Call] = {
    "rename": lambda store, user, known: store.rename_session(user, known.session_id, "Mine"),
    "delete a reply": lambda store, user, known: store.delete_reply(user, "annas"),
    "delete": lambda store, user, known: store.delete_session(user, known.session_id),
}


class Room(OwnerAccess):
    """Ben may see everything, and write where `writes`."""

    def __init__(self, *, writes: bool) -> None:
        self._writes = writes

    def may_see(self, user_id: str, owner: str, session_id: int) -> bool:
        return user_id == "ben" or super().may_see(user_id, owner, session_id)

    def may_write(self, user_id: str, owner: str, session_id: int) -> bool:
        return (user_id == "ben" and self._writes) or super().may_write(user_id, owner, session_id)


async def annas(store: MessageStore) -> Exchange:
    exchange = await store.begin(question(user_id="anna", stream_id="annas"))
    await store.finish(answer(exchange))
    return exchange


@pytest.mark.parametrize("name", [*SEES, *WRITES, *MANAGES])
async def test_a_stranger_hears_what_is_heard_of_a_session_that_never_was(
    store: MessageStore, name: str
) -> None:
    call = (SEES | WRITES | MANAGES)[name]
    known = await annas(store)
    with pytest.raises(NotFound) as foreign:
        await call(store, "ben", known)
    await store.delete_session("anna", known.session_id)
    with pytest.raises(NotFound) as missing:
        await call(store, "ben", known)

    assert str(foreign.value) == str(missing.value)


@pytest.mark.parametrize("writes", [True, False])
async def test_access_alone_decides(rig: StoreRig, writes: bool) -> None:
    async with asyncio.timeout(30), (store := rig.store(access=Room(writes=writes))).running():
        known = await annas(store)
        for call in SEES.values():
            await call(store, "ben", known)
        for call in [*MANAGES.values(), *([] if writes else WRITES.values())]:
            with pytest.raises(NotFound):
                await call(store, "ben", known)
        for call in WRITES.values() if writes else ():
            await call(store, "ben", known)
        assert len(await store.messages("anna", known.session_id)) == (5 if writes else 2)
        for call in [*WRITES.values(), *MANAGES.values()]:
            await call(store, "anna", known)
