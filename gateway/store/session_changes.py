"""What may happen to a whole session: another title, or its end with all its messages."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, select, update

from gateway.contract.errors import NotFound
from gateway.contract.store import StoredSession
from gateway.store.rows import stored_session
from gateway.store.tables import messages, sessions
from gateway.store.usage import count_deleted
from gateway.store.writer import Write

# The name of a bound value must differ from every column's.
_THIS = (sessions.c.id == bindparam("session_id")) & (sessions.c.user_id == bindparam("owner"))
_RENAME = (
    update(sessions)
    .where(_THIS)
    .values(
        title=bindparam("new_title", type_=sessions.c.title.type),
        title_folded=bindparam("new_folded", type_=sessions.c.title_folded.type),
    )
    .returning(*sessions.c)
)
_COUNT_MESSAGES = select(func.count()).where(messages.c.session_id == bindparam("session_id"))
# The messages and their idempotency keys go with it: ON DELETE CASCADE.
_DELETE = delete(sessions).where(_THIS)


def _rename(connection: Connection, wanted: Sequence[tuple[str, int, str]]) -> list[StoredSession | NotFound]:
    return [_rename_one(connection, *change) for change in wanted]


def _rename_one(
    connection: Connection, user_id: str, session_id: int, title: str
) -> StoredSession | NotFound:
    values = {
        "owner": user_id,
        "session_id": session_id,
        "new_title": title,
        "new_folded": title.casefold(),
    }
    row = connection.execute(_RENAME, values).first()
    return NotFound("No such session.") if row is None else stored_session(row)


def _delete(connection: Connection, wanted: Sequence[tuple[str, int]]) -> list[NotFound | None]:
    return [_delete_one(connection, *session) for session in wanted]


def _delete_one(connection: Connection, user_id: str, session_id: int) -> NotFound | None:
    held = connection.scalar(_COUNT_MESSAGES, {"session_id": session_id})
    if not connection.execute(_DELETE, {"owner": user_id, "session_id": session_id}).rowcount:
        return NotFound("No such session.")
    count_deleted(connection, messages=held or 0, sessions=1)
    return None


# User id, session id, and the new title.
RENAME = Write[tuple[str, int, str], StoredSession](_rename, rank=0)
# User id and session id. Behind what is still being written into it.
DELETE = Write[tuple[str, int], None](_delete, rank=9)
