"""Stores new exchanges, all waiting ones in one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, literal_column, select, update

from gateway.contract.access import Access
from gateway.contract.errors import Conflict, NotFound, RequestRejected
from gateway.contract.exchanges import Exchange, NewExchange
from gateway.store import idempotency as claims
from gateway.store import threads
from gateway.store.branches import is_lost, leaf_of
from gateway.store.columns import storable
from gateway.store.continued_replies import continued_exchange, reopen
from gateway.store.new_messages import Place, insert_exchanges
from gateway.store.new_sessions import MAX_TITLE_CHARS, NewSession, NewSessions
from gateway.store.session_quota import SessionQuota
from gateway.store.statements import Statement
from gateway.store.tables import sessions
from gateway.store.undone_exchanges import TAKE_BACK
from gateway.store.writer import Write


class Found(NamedTuple):
    """An existing session of a question, its owner, and the id of the last message that it shows."""

    place: Place
    owner: str
    last_id: int | None


# Keys: session ids.
Owned = dict[int, Found]

_LAST_ID = leaf_of(sessions.c.id)
_SELECT_OWNED = Statement(
    select(sessions.c.id, sessions.c.key, sessions.c.uuid, sessions.c.user_id, _LAST_ID).where(
        sessions.c.id == bindparam("session_id")
    )
)
_LOCK = Statement(select(sessions.c.id).where(sessions.c.id == bindparam("session_id")).with_for_update())

_UNTITLED = sessions.c.title == literal_column("''")
_NEW_TITLE = bindparam("new_title", type_=sessions.c.title.type)
_NEW_FOLDED = bindparam("new_folded", type_=sessions.c.title_folded.type)
_TOUCH_SESSION = Statement(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(
        updated_at=bindparam("now"),
        leaf_id=bindparam("leaf"),
        title=case((_UNTITLED, _NEW_TITLE), else_=sessions.c.title),
        title_folded=case((_UNTITLED, _NEW_FOLDED), else_=sessions.c.title_folded),
    )
)


class Exchanges:
    """The change `begin`.

    If two exchanges of one group, or two processes, use the same idempotency key or stream id, the database
    refuses the group and the writer retries its exchanges one by one: no check for that is needed here.

    Args:
        clock: returns the time, aware.
        owner: the gateway that produces the replies.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        new_sessions: NewSessions,
        quota: SessionQuota,
        access: Access,
        owner: str,
    ) -> None:
        self._access = access
        self._owner = owner
        self._clock = clock
        self._new_sessions = new_sessions
        self._quota = quota
        self.begin = Write[NewExchange, Exchange](self._begin, rank=1, needs_caller=True, undo=TAKE_BACK)

    def _begin(
        self, connection: Connection, wanted: Sequence[NewExchange]
    ) -> list[Exchange | RequestRejected]:
        now = self._clock()
        wanted = threads.gone_on(connection, wanted, now)
        owned = _owned(connection, wanted)
        used = claims.used(connection, wanted, now)
        refusals = [
            self._refusal(connection, exchange, owned, used) or reopen(connection, exchange, self._owner)
            for exchange in wanted
        ]
        no_room = self._quota.refusals(
            connection,
            [
                exchange.user_id if exchange.session_id is None and refusal is None else None
                for exchange, refusal in zip(wanted, refusals, strict=True)
            ],
        )
        refusals = [refusal or full for refusal, full in zip(refusals, no_room, strict=True)]
        accepted = [exchange for exchange, refusal in zip(wanted, refusals, strict=True) if refusal is None]
        begun = iter(self._save(connection, accepted, owned, now) if accepted else ())
        return [refusal or next(begun) for refusal in refusals]

    def _refusal(
        self, connection: Connection, exchange: NewExchange, owned: Owned, used: set[tuple[str, str]]
    ) -> RequestRejected | None:
        user_id, session_id = storable(exchange.user_id), exchange.session_id
        if session_id is not None:
            found = owned.get(session_id)
            if found is None or not self._access.may_write(user_id, found.owner, session_id):
                return NotFound("No such session.")
            if is_lost(connection, exchange):
                return NotFound("No such message.")
        if exchange.idempotency is not None and (user_id, storable(exchange.idempotency.key)) in used:
            return Conflict("This Idempotency-Key was used before.")
        return None

    def _save(
        self, connection: Connection, accepted: Sequence[NewExchange], owned: Owned, now: datetime
    ) -> list[Exchange]:
        places = self._places(connection, accepted, owned, now)
        last_ids = {id: found.last_id for id, found in owned.items()}
        new = [at for at, exchange in enumerate(accepted) if exchange.continues is None]
        inserted = insert_exchanges(
            connection, [accepted[at] for at in new], [places[at] for at in new], last_ids, self._owner, now
        )
        begun_at = dict(zip(new, inserted, strict=True))
        begun = [
            begun_at[at]
            if exchange.continues is None
            else continued_exchange(connection, exchange.continues, places[at])
            for at, exchange in enumerate(accepted)
        ]
        _touch(connection, accepted, now)
        threads.take(connection, accepted)
        claims.claim(connection, accepted, begun, now)
        return begun

    def _places(
        self, connection: Connection, accepted: Sequence[NewExchange], owned: Owned, now: datetime
    ) -> list[Place]:
        """Return each exchange's session. Exchanges without one get a new session, one for each thread."""
        new: dict[tuple[str, str], NewSession] = {}
        for exchange in accepted:
            if exchange.session_id is None:
                new.setdefault(
                    _thread_of(exchange), NewSession(exchange.user_id, exchange.title, exchange.thread)
                )
        made = dict(zip(new, self._new_sessions.insert(connection, [*new.values()], now), strict=True))
        places: list[Place] = []
        for exchange in accepted:
            if exchange.session_id is not None:
                places.append(owned[exchange.session_id].place)
            else:
                session = made[_thread_of(exchange)]
                places.append(Place(session.id, session.key, session.uuid))
        return places


def _thread_of(exchange: NewExchange) -> tuple[str, str]:
    return exchange.user_id, exchange.thread or exchange.stream_id


def _owned(connection: Connection, wanted: Sequence[NewExchange]) -> Owned:
    ids = sorted({exchange.session_id for exchange in wanted if exchange.session_id is not None})
    if connection.dialect.name == "postgresql":
        # Questions of other gateways in these sessions wait. The order is the same everywhere, which prevents
        # deadlocks.
        _LOCK.rows(connection, [{"session_id": id} for id in ids])
    found = _SELECT_OWNED.rows(connection, [{"session_id": id} for id in ids])
    return {row[0]: Found(Place(*row[:3]), *row[3:]) for row in found}


def _touch(connection: Connection, accepted: Sequence[NewExchange], now: datetime) -> None:
    rows: list[dict[str, Any]] = [
        {
            "session_id": exchange.session_id,
            "now": now,
            "leaf": exchange.continues and exchange.continues.message_id,
            "new_title": exchange.title[:MAX_TITLE_CHARS],
            "new_folded": exchange.title[:MAX_TITLE_CHARS].casefold(),
        }
        for exchange in accepted
        if exchange.session_id is not None
    ]
    if rows:
        # In the same order in all processes, which prevents deadlocks.
        _TOUCH_SESSION.run(connection, sorted(rows, key=lambda row: row["session_id"]))
