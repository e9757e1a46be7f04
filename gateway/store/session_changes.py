"""Renames and deletes sessions."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, select, update

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
# ON DELETE CASCADE also deletes its messages and their idempotency keys.
_DELETE = delete(sessions).where(_THIS)


class SessionChanges:
    """The changes `rename` (user id, session id, new title) and `delete` (user id, session id)."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.rename = Write[tuple[str, int, str], StoredSession](self._rename, rank=0)
        # Last: after all changes to the session that are waiting.
        self.delete = Write[tuple[str, int], None](self._delete, rank=9)

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

    def _may_manage(self, connection: Connection, user_id: str, session_id: int) -> bool:
        owner = connection.scalar(_OWNER, {"this_session": session_id})
        return owner is not None and self._access.may_manage(storable(user_id), owner, session_id)
