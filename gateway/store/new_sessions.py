"""Creates sessions, on request or for a question without one."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from gateway.contract.errors import RequestRejected, StorageFailed
from gateway.contract.random_names import ordered_uuid, random_hex
from gateway.contract.store import StoredSession
from gateway.store.columns import storable
from gateway.store.session_quota import SessionQuota
from gateway.store.statements import NewRows, upsert
from gateway.store.tables import sessions
from gateway.store.writer import Write

MAX_TITLE_CHARS = 120
KEY_DRAWS = 8


def draw_session_key(user_id: str) -> str:
    return f"{user_id}-{random_hex()[:6]}"


class NewSession(NamedTuple):
    user_id: str
    title: str
    thread: str | None = None


def _row(new: NewSession, key: str, now: datetime) -> dict[str, Any]:
    """Return the values of a new session by column: the only list of them."""
    title = storable(new.title[:MAX_TITLE_CHARS])
    return {
        "uuid": ordered_uuid(),
        "key": storable(key),
        "user_id": storable(new.user_id),
        "title": title,
        "title_folded": title.casefold(),
        "created_at": now,
        "updated_at": now,
        "thread": new.thread,
    }


# Inserts nothing if the key is in use.
_INSERT = NewRows(
    upsert(sessions, lambda new: new.on_conflict_do_nothing(index_elements=["key"])),
    tuple(_row(NewSession("", ""), "", datetime.min)),
    key="key",
)
_TOLD = ("uuid", "key", "user_id", "title", "created_at", "updated_at")


class NewSessions:
    """Creates sessions. `create` is the change for a session without a question.

    Args:
        clock: returns the time, aware.
        draw_key: returns a random session key for a user id; called again if the key is in use.
        quota: checked by `create`; callers of `insert` must check it themselves.
    """

    def __init__(
        self, clock: Callable[[], datetime], draw_key: Callable[[str], str], quota: SessionQuota
    ) -> None:
        self._clock = clock
        self._draw_key = draw_key
        self._quota = quota
        self.create = Write[NewSession, StoredSession](self._create, rank=0)

    def insert(
        self, connection: Connection, wanted: Sequence[NewSession], now: datetime
    ) -> list[StoredSession]:
        """Create sessions. Raises StorageFailed if KEY_DRAWS random keys for one are all in use."""
        made: dict[int, StoredSession] = {}
        for _ in range(KEY_DRAWS):
            rows = {
                at: _row(new, self._draw_key(new.user_id), now)
                for at, new in enumerate(wanted)
                if at not in made
            }
            if not rows:
                return [made[at] for at in range(len(wanted))]
            ids = _INSERT.ids(connection, [*rows.values()])
            for at, row in rows.items():
                # Of two that drew the same key the first one has it.
                if (id := ids.pop(row["key"], None)) is not None:
                    made[at] = StoredSession(id, **{name: row[name] for name in _TOLD})
        raise StorageFailed("No free key was found for a new session.")

    def _create(
        self, connection: Connection, wanted: Sequence[NewSession]
    ) -> list[StoredSession | RequestRejected]:
        refusals = self._quota.refusals(connection, [new.user_id for new in wanted])
        accepted = [new for new, refusal in zip(wanted, refusals, strict=True) if refusal is None]
        made = iter(self.insert(connection, accepted, self._clock()))
        return [refusal or next(made) for refusal in refusals]
