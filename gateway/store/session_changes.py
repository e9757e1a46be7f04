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


_REPLY = (
    select(messages.c.id, messages.c.parent_id, messages.c.session_id)
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
        self.delete = Write[tuple[str, int], None](self._delete, rank=9)
        self.delete_reply = Write[tuple[str, str], None](self._delete_replies, rank=9)

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
        return [self._delete_one(connection, *session) for session in wanted]

    def _delete_one(self, connection: Connection, user_id: str, session_id: int) -> NotFound | None:
        if not self._may_manage(connection, user_id, session_id):
            return NotFound("No such session.")
        held = connection.scalar(_COUNT_MESSAGES, {"this_session": session_id})
        connection.execute(_DELETE, {"this_session": session_id})
        count_deleted(connection, messages=held or 0, sessions=1)
        return None

    def _delete_replies(
        self, connection: Connection, wanted: Sequence[tuple[str, str]]
    ) -> list[NotFound | None]:
        return [self._delete_reply(connection, *reply) for reply in wanted]

    def _delete_reply(self, connection: Connection, user_id: str, stream_id: str) -> NotFound | None:
        row = connection.execute(_REPLY, {"stream_id": stream_id}).first()
        if row is None or not self._may_manage(connection, user_id, row.session_id):
            return NotFound("No such stream.")
        ids, new_parent = [row.id], row.parent_id
        question = connection.execute(_QUESTION, {"question_id": row.parent_id, "reply_id": row.id}).first()
        if question is not None:
            ids, new_parent = [row.parent_id, row.id], question.parent_id
        adopted = {"this_session": row.session_id, "reply_id": row.id, "new_parent": new_parent}
        connection.execute(_ADOPT, adopted)
        gone = connection.execute(_DELETE_MESSAGES, {"ids": ids}).rowcount
        count_deleted(connection, messages=gone, sessions=0)
        return None

    def _may_manage(self, connection: Connection, user_id: str, session_id: int) -> bool:
        owner = connection.scalar(_OWNER, {"this_session": session_id})
        return owner is not None and self._access.may_manage(storable(user_id), owner, session_id)
