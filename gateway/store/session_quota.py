"""How many sessions a user may keep."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select

from gateway.contract.errors import QuotaReached
from gateway.store.columns import storable
from gateway.store.statements import Statement
from gateway.store.tables import sessions

MAX_REMEMBERED = 10_000

_COUNT = Statement(select(func.count()).select_from(sessions).where(sessions.c.user_id == bindparam("owner")))


class SessionQuota:
    """Counts a user's sessions once and then adds those that are made: counting them for each question would
    take longer than saving it.

    What is deleted or rolled back is not subtracted, so the figure may be too high. A user who seems to have
    too many is counted again before anything is refused. most: sessions of a user.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: dict[str, int] = {}

    def refusals(self, connection: Connection, users: Sequence[str | None]) -> list[QuotaReached | None]:
        """For each user who wants one more session, None or why there is no room; None stands for nobody."""
        wanted: Counter[str] = Counter()
        return [None if user is None else self._take(connection, storable(user), wanted) for user in users]

    def _take(self, connection: Connection, user_id: str, wanted: Counter[str]) -> QuotaReached | None:
        made = self._made.pop(user_id, None)
        if made is None or made >= self._most:
            made = _COUNT.row(connection, {"owner": user_id})[0] + wanted[user_id]
        if made >= self._most:
            return QuotaReached(
                f"You have {made} sessions, and no user may have more than {self._most} (SESSIONS_PER_USER). "
                "Delete some first: DELETE /api/chatbot/sessions/{id}."
            )
        wanted[user_id] += 1
        self._made[user_id] = made + 1
        if len(self._made) > MAX_REMEMBERED:
            del self._made[next(iter(self._made))]
        return None
