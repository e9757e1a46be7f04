"""Stores new exchanges, all waiting ones in one transaction."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection

from gateway.contract.access import Access
from gateway.contract.errors import Conflict, NotFound, RequestRejected
from gateway.contract.exchanges import Exchange, NewExchange
from gateway.store import idempotency as claims
from gateway.store import threads
from gateway.store.branches import is_lost
from gateway.store.columns import storable
from gateway.store.continued_replies import continued_exchange, reopen
from gateway.store.new_messages import Place, insert_exchanges
from gateway.store.new_sessions import NewSession, NewSessions
from gateway.store.notes import used_client_id
from gateway.store.session_quota import SessionQuota
from gateway.store.undone_exchanges import TAKE_BACK
from gateway.store.writer import Write
from gateway.store.written_sessions import Found, Touch, found_and_locked, touch


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
        self.begin = Write[NewExchange, Exchange](
            self._begin, rank=1, needs_caller=True, undo=TAKE_BACK, urgent=True
        )

    def _begin(
        self, connection: Connection, wanted: Sequence[NewExchange]
    ) -> list[Exchange | RequestRejected]:
        now = self._clock()
        wanted = threads.gone_on(connection, wanted, now)
        owned = found_and_locked(
            connection, [id for exchange in wanted if (id := exchange.session_id) is not None]
        )
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
        self,
        connection: Connection,
        exchange: NewExchange,
        owned: dict[int, Found],
        used: set[tuple[str, str]],
    ) -> RequestRejected | None:
        user_id, session_id = storable(exchange.user_id), exchange.session_id
        if session_id is not None:
            found = owned.get(session_id)
            if found is None or not self._access.may_write(user_id, found.owner, session_id):
                return NotFound("No such session.")
            if is_lost(connection, exchange):
                return NotFound("No such message.")
        if exchange.client_id is not None and used_client_id(connection, exchange):
            return Conflict("This id was used before.")
        if exchange.idempotency is not None and (user_id, storable(exchange.idempotency.key)) in used:
            return Conflict("This Idempotency-Key was used before.")
        return None

    def _save(
        self, connection: Connection, accepted: Sequence[NewExchange], owned: dict[int, Found], now: datetime
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
        touch(connection, [*_touched(accepted)], now)
        threads.take(connection, accepted)
        claims.claim(connection, accepted, begun, now)
        return begun

    def _places(
        self, connection: Connection, accepted: Sequence[NewExchange], owned: dict[int, Found], now: datetime
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


def _touched(accepted: Sequence[NewExchange]) -> Iterator[Touch]:
    for exchange in accepted:
        if exchange.session_id is not None:
            reply = exchange.continues
            yield Touch(exchange.session_id, exchange.title, None if reply is None else reply.message_id)
