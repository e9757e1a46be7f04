"""Renames and deletes sessions, and deletes replies."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, literal_column, select, update

from gateway.contract.access import Access
from gateway.contract.errors import NotFound
from gateway.contract.store import StoredSession
from gateway.store.columns import storable
from gateway.store.rows import stored_session
from gateway.store.tables import messages, sessions
from gateway.store.usage import count_deleted
from gateway.store.writer import Write

# SQLAlchemy requires names of bound values in UPDATE to differ from column names.
_THIS = sessions.c.id == bindparam("this_session")
_OWNER = select(sessions.c.user_id).where(_THIS).with_for_update()
_RENAME = (
    update(sessions)
    .where(_THIS)
    .values(
        title=bindparam("new_title", type_=sessions.c.title.type),
        title_folded=bindparam("new_folded", type_=sessions.c.title_folded.type),
    )
    .returning(*sessions.c)
)
_COUNT_MESSAGES = select(func.count()).where(messages.c.session_id == bindparam("this_session"))
_other = messages.alias()
# ON DELETE CASCADE also deletes its messages and their idempotency keys.
_DELETE = delete(sessions).where(_THIS)


_SESSION_OF = select(messages.c.session_id).where(messages.c.stream_id == bindparam("stream_id"))
_REPLY = (
    select(messages.c.id, messages.c.parent_id)
    .where(messages.c.stream_id == bindparam("stream_id"))
    .with_for_update()
)
_IS_ONLY_REPLY = ~(
    select(_other.c.id)
    .where(_other.c.parent_id == bindparam("question_id"), _other.c.id != bindparam("reply_id"))
    .exists()
)
_QUESTION = select(messages.c.parent_id).where(
    messages.c.id == bindparam("question_id"), messages.c.role == literal_column("'user'"), _IS_ONLY_REPLY
)
_ADOPT = (
    update(messages)
    .where(messages.c.session_id == bindparam("this_session"), messages.c.parent_id == bindparam("reply_id"))
    .values(parent_id=bindparam("new_parent"))
)
_DELETE_MESSAGES = delete(messages).where(messages.c.id.in_(bindparam("ids", expanding=True)))


class SessionChanges:
    """The changes `rename` (user id, session id, new title), `delete` (user id, session id) and
    `delete_reply` (user id, stream id)."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.rename = Write[tuple[str, int, str], StoredSession](self._rename, rank=0)
        # Last: after all changes to the session that are waiting.
        self.delete = Write[tuple[str, int], None](self._delete, rank=9, alone=True)
        self.delete_reply = Write[tuple[str, str], None](self._delete_replies, rank=9, alone=True)

    def _rename(
        self, connection: Connection, wanted: Sequence[tuple[str, int, str]]
    ) -> list[StoredSession | NotFound]:
        return [self._rename_one(connection, *change) for change in wanted]

    def _rename_one(
        self, connection: Connection, user_id: str, session_id: int, title: str
    ) -> StoredSession | NotFound:
        if not self._may_manage(connection, user_id, session_id):
            return NotFound("No such session.")
        values = {"this_session": session_id, "new_title": title, "new_folded": title.casefold()}
        return stored_session(connection.execute(_RENAME, values).one())

    def _delete(self, connection: Connection, wanted: Sequence[tuple[str, int]]) -> list[NotFound | None]:
        # In the same order in all processes, sessions before their messages, and the counts last: this
        # prevents deadlocks.
        order = sorted(range(len(wanted)), key=lambda at: wanted[at][1])
        held = {at: self._delete_one(connection, *wanted[at]) for at in order}
        gone = [count for count in held.values() if count is not None]
        if gone:
            count_deleted(connection, messages=sum(gone), sessions=len(gone))
        return [NotFound("No such session.") if held[at] is None else None for at in range(len(wanted))]

    def _delete_one(self, connection: Connection, user_id: str, session_id: int) -> int | None:
        """Return the number of messages that the session had; None if the user may not delete it."""
        if not self._may_manage(connection, user_id, session_id):
            return None
        held = connection.scalar(_COUNT_MESSAGES, {"this_session": session_id})
        connection.execute(_DELETE, {"this_session": session_id})
        return held or 0

    def _delete_replies(
        self, connection: Connection, wanted: Sequence[tuple[str, str]]
    ) -> list[NotFound | None]:
        sessions_of = [connection.scalar(_SESSION_OF, {"stream_id": stream_id}) for _, stream_id in wanted]
        order = sorted(range(len(wanted)), key=lambda at: sessions_of[at] or 0)  # as in _delete
        gone = {at: self._delete_reply(connection, *wanted[at], sessions_of[at]) for at in order}
        if total := sum(gone.values()):
            count_deleted(connection, messages=total, sessions=0)
        return [None if gone[at] else NotFound("No such stream.") for at in range(len(wanted))]

    def _delete_reply(
        self, connection: Connection, user_id: str, stream_id: str, session_id: int | None
    ) -> int:
        """Return the number of messages that are deleted; 0 if the user may not delete the reply."""
        if session_id is None or not self._may_manage(connection, user_id, session_id):
            return 0
        row = connection.execute(_REPLY, {"stream_id": stream_id}).first()
        if row is None:
            return 0
        ids, new_parent = [row.id], row.parent_id
        question = connection.execute(_QUESTION, {"question_id": row.parent_id, "reply_id": row.id}).first()
        if question is not None:
            ids, new_parent = [row.parent_id, row.id], question.parent_id
        adopted = {"this_session": session_id, "reply_id": row.id, "new_parent": new_parent}
        connection.execute(_ADOPT, adopted)
        return connection.execute(_DELETE_MESSAGES, {"ids": ids}).rowcount

    def _may_manage(self, connection: Connection, user_id: str, session_id: int) -> bool:
        owner = connection.scalar(_OWNER, {"this_session": session_id})
        return owner is not None and self._access.may_manage(storable(user_id), owner, session_id)
