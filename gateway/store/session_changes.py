"""What may happen to a whole session: another title, or its end with all its messages."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, update

from gateway.contract.errors import NotFound
from gateway.contract.store import StoredSession
from gateway.store.records import stored_session
from gateway.store.tables import sessions
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
    return [
        None
        if connection.execute(_DELETE, {"owner": user_id, "session_id": session_id}).rowcount
        else NotFound("No such session.")
        for user_id, session_id in wanted
    ]


# User id, session id, and the new title.
RENAME = Write[tuple[str, int, str], StoredSession](_rename, rank=0)
# User id and session id. Behind what is still being written into it.
DELETE = Write[tuple[str, int], None](_delete, rank=9)
