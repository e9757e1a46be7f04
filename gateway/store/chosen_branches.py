"""Chooses the branch that a session shows."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, literal, select, update

from gateway.contract.access import Access
from gateway.contract.errors import NotFound
from gateway.contract.store import StoredSession
from gateway.store.columns import storable
from gateway.store.rows import stored_session
from gateway.store.tables import messages, sessions
from gateway.store.writer import Write

# The row is locked, so that an exchange that begins meanwhile comes before or after.
_SESSION = (
    select(sessions.c.id, sessions.c.user_id)
    .where(
        sessions.c.id
        == select(messages.c.session_id).where(messages.c.id == bindparam("wanted_id")).scalar_subquery()
    )
    .with_for_update()
)
_LATEST = select(func.max(messages.c.id)).where(messages.c.session_id == bindparam("this_session"))
_CHOOSE = (
    update(sessions)
    .where(sessions.c.id == bindparam("this_session"))
    .values(leaf_id=bindparam("chosen_id"))
    .returning(*sessions.c)
)


class ChosenBranches:
    """The change `choose` (user id, message id)."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.choose = Write[tuple[str, int], StoredSession](self._choose, rank=4)

    def _choose(
        self, connection: Connection, wanted: Sequence[tuple[str, int]]
    ) -> list[StoredSession | NotFound]:
        return [self._choose_one(connection, *one) for one in wanted]

    def _choose_one(self, connection: Connection, user_id: str, message_id: int) -> StoredSession | NotFound:
        session = connection.execute(_SESSION, {"wanted_id": message_id}).first()
        if session is None or not self._access.may_write(storable(user_id), session.user_id, session.id):
            return NotFound("No such message.")
        leaf_id = _latest_below(connection, session.id, message_id)
        latest_id = connection.scalar(_LATEST, {"this_session": session.id})
        chosen = {"this_session": session.id, "chosen_id": None if leaf_id == latest_id else leaf_id}
        return stored_session(connection.execute(_CHOOSE, chosen).one())


def _latest_below(connection: Connection, session_id: int, message_id: int) -> int:
    """Return the id of the latest message below this one; its own if there is none."""
    below = select(literal(message_id, messages.c.id.type).label("id")).cte("below", recursive=True)
    children = (
        select(messages.c.id)
        .join(below, messages.c.parent_id == below.c.id)
        .where(messages.c.session_id == session_id)
    )
    below = below.union_all(children)
    found = connection.scalar(select(func.max(below.c.id)))
    return message_id if found is None else int(found)
