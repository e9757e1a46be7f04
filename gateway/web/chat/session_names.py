"""Looks up a session by its id, uuid or key, which requests may use interchangeably."""

import re
from typing import Annotated

from pydantic import Field

from gateway.contract.errors import NotFound
from gateway.contract.store import MessageStore, StoredSession
from gateway.web.http.bodies import MAX_ID

SessionName = Annotated[str, Field(min_length=1, max_length=300, description="Id, uuid or key of a session.")]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


async def session_of(store: MessageStore, user_id: str, name: int | str) -> StoredSession:
    """Return the user's session with this id, uuid or key. Raises NotFound."""
    number = _number_in(name)
    if number is not None:
        return await store.session(user_id, number)
    return await store.session_named(user_id, _canonical(str(name)))


async def session_id_of(store: MessageStore, user_id: str, name: int | str) -> int:
    """Return the id of the user's session with this uuid or key. Raises NotFound. Ids are not checked."""
    number = _number_in(name)
    if number is not None:
        return number
    return (await store.session_named(user_id, _canonical(str(name)))).id


def _number_in(name: int | str) -> int | None:
    if isinstance(name, str):
        if not (name.isascii() and name.isdecimal()):
            return None
        if len(name) > len(str(MAX_ID)):
            raise NotFound("No such session.")
        name = int(name)
    if not 1 <= name <= MAX_ID:
        raise NotFound("No such session.")
    return name


def _canonical(name: str) -> str:
    return name.lower() if _UUID.fullmatch(name) else name
