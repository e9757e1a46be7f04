"""Limits the number of sessions per user."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select

from gateway.contract.errors import QuotaReached
from gateway.store.columns import storable
from gateway.store.statements import Statement
from gateway.store.tables import sessions

MAX_REMEMBERED = 10_000
SHARES = 1000
"""A gateway that is not alone counts a user's sessions again after this part of the limit."""

_COUNT = Statement(select(func.count()).select_from(sessions).where(sessions.c.user_id == bindparam("owner")))


class SessionQuota:
    """Counts a user's sessions once and then adds new ones: a count for each question would take longer than
    storing it.

    Deleted and rolled back sessions are not subtracted, so the number may be too high: at the limit, the
    sessions are counted again before a request is refused. Other gateways' sessions are not added, so it may
    be too low: then they are counted after each 1/SHARES of the limit too.

    Args:
        most: maximum sessions of a user.
        shared: other gateways may use the database.
    """

    def __init__(self, most: int, *, shared: bool) -> None:
        self._most = most
        self._step = max(1, most // SHARES) if shared else most
        self._made: dict[str, tuple[int, int]] = {}

    def refusals(self, connection: Connection, users: Sequence[str | None]) -> list[QuotaReached | None]:
        """Return, for each user id that needs one more session, None or the refusal. An id of None is
        skipped."""
        wanted: defaultdict[str, int] = defaultdict(int)
        return [None if user is None else self._take(connection, storable(user), wanted) for user in users]

    def _take(
        self, connection: Connection, user_id: str, wanted: defaultdict[str, int]
    ) -> QuotaReached | None:
        made, count_at = self._made.pop(user_id, (0, 0))
        if made >= count_at:
            made = _COUNT.row(connection, {"owner": user_id})[0] + wanted[user_id]
            count_at = min(self._most, made + self._step)
        if made >= self._most:
            return QuotaReached(
                f"You have {made} sessions, and no user may have more than {self._most} (SESSIONS_PER_USER). "
                "Delete some first: DELETE /api/chatbot/sessions/{id}."
            )
        wanted[user_id] += 1
        self._made[user_id] = made + 1, count_at
        if len(self._made) > MAX_REMEMBERED:
            del self._made[next(iter(self._made))]
        return None
