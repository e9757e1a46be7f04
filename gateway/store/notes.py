"""Stores notes: messages that ask nothing."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, literal_column, select

from gateway.contract.access import Access
from gateway.contract.authors import Author
from gateway.contract.content import parts_of, text_of
from gateway.contract.errors import Conflict, NotFound, RequestRejected
from gateway.contract.exchanges import NewExchange
from gateway.contract.notes import KeptNote, NewNote
from gateway.contract.random_names import ordered_uuid
from gateway.contract.store import StoredMessage
from gateway.store.branches import MAX_AGE_IDS
from gateway.store.columns import MAX_ID, check_id, storable
from gateway.store.parts import column_of
from gateway.store.rows import stored_message
from gateway.store.statements import Statement
from gateway.store.tables import messages
from gateway.store.undone_exchanges import take_back_message
from gateway.store.writer import Write
from gateway.store.written_sessions import Touch, found_and_locked, touch


class EncodedNote(NamedTuple):
    """parts: value of the column."""

    note: NewNote
    parts: bytes | None = None


def _row(new: EncodedNote, parent_id: int | None, now: datetime) -> dict[str, Any]:
    """Return the values of a note by column."""
    note, parts = new
    return {
        "user_id": note.user_id,
        "session_id": note.session_id,
        "created_at": now,
        "parent_id": parent_id,
        "uuid": ordered_uuid(),
        "role": note.role,
        "author": storable(str(note.author)),
        "content": text_of(note.content),
        "parts": parts,
        "origin": note.origin,
        "client_id": note.client_id,
    }


_NONE = NewNote("", 0, author="", content="")  # type: ignore[arg-type]
_INSERT = Statement(
    insert(messages)
    .values(status=literal_column("'complete'"), epoch=literal_column("0"))
    .returning(messages.c.id),
    tuple(_row(EncodedNote(_NONE), None, datetime.min)),
)
_LATEST = select(func.max(messages.c.id)).where(messages.c.session_id == bindparam("in_session"))
_BY_CLIENT = _LATEST.where(messages.c.client_id == bindparam("name"))
_AUTHORS = Statement(_BY_CLIENT.where(messages.c.author == bindparam("by")))
_ANYBODYS = Statement(_BY_CLIENT)
_STREAM = Statement(_LATEST.where(messages.c.stream_id == bindparam("name")))
_UUID = Statement(_LATEST.where(messages.c.uuid == bindparam("name"), messages.c.id > bindparam("floor")))
_NUMBER = Statement(_LATEST.where(messages.c.id == bindparam("number")))
_WHOLE = select(messages).where(messages.c.id == bindparam("wanted_id"))

_OF_STREAM = re.compile(r"(?:.*[-_])?(?P<stream>[0-9a-f]{32})", re.DOTALL)
"""A stream's id, also as the dialects spell it: `chatcmpl-…`, `msg_…`, `resp_…`."""

_NUMBER_DIGITS = len(str(MAX_ID)) - 1
_UUID_CHARS = 36


async def encoded_note(note: NewNote) -> EncodedNote:
    """Return the note for the database; attachments are encoded in a thread. Raises NotFound for a number
    that cannot be a session's."""
    check_id(note.session_id)
    if isinstance(note.content, str):
        return EncodedNote(note)
    return EncodedNote(note, await asyncio.to_thread(column_of, note.content))


class Notes:
    """The change `post`.

    Questions and notes of one session wait for each other in the database, so that it needs no constraint
    for what is stored once.

    Args:
        clock: returns the time, aware.
    """

    def __init__(self, clock: Callable[[], datetime], access: Access) -> None:
        self._clock = clock
        self._access = access
        # Rank and urgency of `begin`: the order of notes and questions is that of their callers.
        self.post = Write[EncodedNote, KeptNote](
            self._post, rank=1, needs_caller=True, undo=_TAKE_NOTE_BACK, urgent=True
        )

    def _post(
        self, connection: Connection, wanted: Sequence[EncodedNote]
    ) -> list[KeptNote | RequestRejected]:
        now = self._clock()
        found = found_and_locked(connection, {new.note.session_id for new in wanted})
        last_ids = {id: session.last_id for id, session in found.items()}
        outcomes: list[KeptNote | RequestRejected] = []
        touched: dict[int, Touch] = {}
        for new in wanted:
            note = new.note
            session = found.get(note.session_id)
            if session is None or not self._access.may_write(
                storable(note.user_id), session.owner, note.session_id
            ):
                outcomes.append(NotFound("No such session."))
                continue
            known = _known(connection, note)
            if known is not None:
                outcomes.append(known)
                continue
            kept = _insert(connection, new, last_ids[note.session_id], now)
            last_ids[note.session_id] = kept.id
            touched.setdefault(note.session_id, Touch(note.session_id, note.title))
            outcomes.append(KeptNote(kept, is_new=True))
        touch(connection, [*touched.values()], now)
        return outcomes


def _insert(connection: Connection, new: EncodedNote, parent_id: int | None, now: datetime) -> StoredMessage:
    row = _row(new, parent_id, now)
    note = new.note
    return StoredMessage(
        id=int(_INSERT.row(connection, row)[0]),
        uuid=row["uuid"],
        session_id=note.session_id,
        parent_id=parent_id,
        author=note.author,
        role=note.role,
        content=storable(row["content"]),
        status="complete",
        created_at=now,
        parts=parts_of(note.content),
        origin=note.origin,
        client_id=None if note.client_id is None else storable(note.client_id),
    )


def used_client_id(connection: Connection, exchange: NewExchange) -> bool:
    """True if the question's author has sent a message with this client id into its session before."""
    author = exchange.author or Author("user", exchange.user_id)
    where = {"in_session": exchange.session_id, "name": exchange.client_id, "by": str(author)}
    return exchange.session_id is not None and _AUTHORS.row(connection, where)[0] is not None


def _known(connection: Connection, note: NewNote) -> KeptNote | Conflict | None:
    """Return the message that has the note's id, or the refusal of another text with it; None if new."""
    name = note.client_id
    if name is None:
        return None
    if note.origin == "room":
        found = _AUTHORS.row(
            connection, {"in_session": note.session_id, "name": name, "by": str(note.author)}
        )[0]
    else:
        found = _id_of(connection, note.session_id, name)
    if found is None:
        return None
    message = stored_message(connection.execute(_WHOLE, {"wanted_id": found}).one())
    if note.origin == "room" and message.content != storable(text_of(note.content)):
        return Conflict("This id was used before, with another text.")
    return KeptNote(message, is_new=False)


def _id_of(connection: Connection, session_id: int, name: str) -> int | None:
    """Return the id of the session's message that any client knows by this name."""
    where: dict[str, Any] = {"in_session": session_id, "name": name}
    found = _ANYBODYS.row(connection, where)[0]
    if found is None and (stream := _OF_STREAM.fullmatch(name)):
        found = _STREAM.row(connection, where | {"name": stream["stream"]})[0]
    if found is None and len(name) == _UUID_CHARS:
        latest = connection.scalar(_LATEST, where) or 0
        found = _UUID.row(connection, where | {"floor": latest - MAX_AGE_IDS})[0]
    if found is None and name.isascii() and name.isdecimal() and len(name) <= _NUMBER_DIGITS:
        found = _NUMBER.row(connection, where | {"number": int(name)})[0]
    return None if found is None else int(found)


def _take_back(connection: Connection, kept: Sequence[KeptNote]) -> list[None]:
    for note in kept:
        if note.is_new:
            take_back_message(connection, note.message.id)
    return [None] * len(kept)


_TAKE_NOTE_BACK = Write[KeptNote, None](_take_back, rank=-1)
