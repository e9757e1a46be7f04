"""How sessions and exchanges begin: all that wait at once, in statements compiled once."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, bindparam, case, delete, insert, select, update

from gateway.contract.authors import Author
from gateway.contract.content import text_of
from gateway.contract.errors import Conflict, NotFound, RequestRejected
from gateway.contract.store import Exchange, NewExchange, StoredSession
from gateway.store import idempotency as claims
from gateway.store import threads
from gateway.store.columns import storable
from gateway.store.parts import EncodedExchange
from gateway.store.rows import stored_session
from gateway.store.session_quota import SessionQuota
from gateway.store.tables import messages, sessions
from gateway.store.usage import count_deleted
from gateway.store.writer import Write

MAX_TITLE_CHARS = 120
KEY_DRAWS = 8


class Place(NamedTuple):
    """The session that an exchange belongs in."""

    id: int
    key: str
    uuid: str


# By session id; and the user it belongs to.
Owned = dict[int, tuple[str, Place]]
# User id, title and thread.
NewSession = tuple[str, str, str | None]

_INSERT_SESSIONS = insert(sessions).returning(*sessions.c, sort_by_parameter_order=True)
_INSERT_MESSAGES = insert(messages).returning(messages.c.id, sort_by_parameter_order=True)

_SELECT_TAKEN = select(sessions.c.key).where(sessions.c.key.in_(bindparam("keys", expanding=True)))
_SELECT_OWNED = select(sessions.c.id, sessions.c.user_id, sessions.c.key, sessions.c.uuid).where(
    sessions.c.id.in_(bindparam("ids", expanding=True))
)

# The name of a bound value must differ from every column's.
_UNTITLED = sessions.c.title == ""
_NEW_TITLE = bindparam("new_title", type_=sessions.c.title.type)
_NEW_FOLDED = bindparam("new_folded", type_=sessions.c.title_folded.type)
_TOUCH_SESSION = (
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(
        updated_at=bindparam("now"),
        title=case((_UNTITLED, _NEW_TITLE), else_=sessions.c.title),
        title_folded=case((_UNTITLED, _NEW_FOLDED), else_=sessions.c.title_folded),
    )
)

_DELETE_MESSAGES = delete(messages).where(messages.c.id.in_(bindparam("ids", expanding=True)))
_DELETE_EMPTY = delete(sessions).where(
    sessions.c.id == bindparam("session_id"),
    ~select(messages.c.id).where(messages.c.session_id == sessions.c.id).exists(),
)


class Exchanges:
    """The changes `create` (a session) and `begin`.

    Where two of one group, or two processes, want the same thing (a session key, an idempotency key, a stream
    id) the database refuses the group and the writer tries them one by one: no check for that is needed here.
    clock: now, aware. draw_key: a session key for a user id; asked again when it is taken.
    """

    def __init__(
        self, clock: Callable[[], datetime], draw_key: Callable[[str], str], quota: SessionQuota
    ) -> None:
        self._quota = quota
        self._clock = clock
        self._draw_key = draw_key
        self.create = Write[NewSession, StoredSession](self._create, rank=0)
        self.begin = Write[NewExchange, Exchange](self._begin, rank=1, needs_caller=True, undo=_TAKE_BACK)

    def _create(
        self, connection: Connection, wanted: Sequence[NewSession]
    ) -> list[StoredSession | RequestRejected]:
        refusals = self._quota.refusals(connection, [user_id for user_id, _, _ in wanted])
        allowed = [new for new, refusal in zip(wanted, refusals, strict=True) if refusal is None]
        made = iter(self._insert_sessions(connection, allowed, self._clock()) if allowed else ())
        return [refusal or next(made) for refusal in refusals]

    def _insert_sessions(
        self, connection: Connection, wanted: Sequence[NewSession], now: datetime
    ) -> list[StoredSession]:
        keys = self._free_keys(connection, [user_id for user_id, _, _ in wanted])
        rows = [
            {
                "uuid": str(uuid4()),
                "key": key,
                "user_id": user_id,
                "title": title[:MAX_TITLE_CHARS],
                "title_folded": title[:MAX_TITLE_CHARS].casefold(),
                "created_at": now,
                "updated_at": now,
                "thread": thread,
            }
            for (user_id, title, thread), key in zip(wanted, keys, strict=True)
        ]
        return [stored_session(row) for row in connection.execute(_INSERT_SESSIONS, rows)]

    def _free_keys(self, connection: Connection, user_ids: Sequence[str]) -> list[str]:
        keys = [self._draw_key(user_id) for user_id in user_ids]
        for _ in range(KEY_DRAWS):
            taken = set(connection.execute(_SELECT_TAKEN, {"keys": keys}).scalars())
            if not taken:
                break
            keys = [
                self._draw_key(user_id) if key in taken else key
                for user_id, key in zip(user_ids, keys, strict=True)
            ]
        return keys

    def _begin(
        self, connection: Connection, wanted: Sequence[NewExchange]
    ) -> list[Exchange | RequestRejected]:
        now = self._clock()
        wanted = threads.gone_on(connection, wanted, now)
        owned = _owned(connection, wanted)
        used = claims.used(connection, wanted, now)
        refusals = [_refusal(exchange, owned, used) for exchange in wanted]
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

    def _save(
        self, connection: Connection, accepted: Sequence[NewExchange], owned: Owned, now: datetime
    ) -> list[Exchange]:
        places = self._places(connection, accepted, owned, now)
        rows = [
            row
            for exchange, place in zip(accepted, places, strict=True)
            for row in _question_and_reply(exchange, place.id, now)
        ]
        ids = connection.execute(_INSERT_MESSAGES, rows).scalars().all()
        begun = [
            Exchange(
                session_id=place.id,
                session_key=place.key,
                session_uuid=place.uuid,
                user_message_id=question_id,
                assistant_message_id=reply_id,
                assistant_message_uuid=reply["uuid"],
                opens_session=exchange.session_id is None,
            )
            for exchange, place, question_id, reply_id, reply in zip(
                accepted, places, ids[::2], ids[1::2], rows[1::2], strict=True
            )
        ]
        _touch(connection, accepted, now)
        threads.take(connection, accepted)
        claims.claim(connection, accepted, begun, now)
        return begun

    def _places(
        self, connection: Connection, accepted: Sequence[NewExchange], owned: Owned, now: datetime
    ) -> list[Place]:
        """Each exchange's session; those that name none get a new one, each thread one."""
        starting: dict[tuple[str, str], NewSession] = {}
        for exchange in accepted:
            if exchange.session_id is None:
                new = (exchange.user_id, exchange.title, exchange.thread)
                starting.setdefault(_conversation(exchange), new)
        sessions = self._insert_sessions(connection, list(starting.values()), now) if starting else []
        created = dict(zip(starting, sessions, strict=True))
        places: list[Place] = []
        for exchange in accepted:
            if exchange.session_id is None:
                session = created[_conversation(exchange)]
                places.append(Place(session.id, session.key, session.uuid))
            else:
                places.append(owned[exchange.session_id][1])
        return places


def _take_back(connection: Connection, begun: Sequence[Exchange]) -> list[None]:
    """Delete these exchanges, their idempotency keys, and the sessions that were made for them."""
    for exchange in begun:
        ids = [exchange.user_message_id, exchange.assistant_message_id]
        gone = connection.execute(_DELETE_MESSAGES, {"ids": ids}).rowcount
        sessions_gone = 0
        if exchange.opens_session:
            sessions_gone = connection.execute(_DELETE_EMPTY, {"session_id": exchange.session_id}).rowcount
        count_deleted(connection, messages=gone, sessions=sessions_gone)
    return [None] * len(begun)


# Before anything else: whoever asks again must not find the key used.
_TAKE_BACK = Write[Exchange, None](_take_back, rank=-1)


def _conversation(exchange: NewExchange) -> tuple[str, str]:
    """What exchanges that start one session together have in common."""
    return exchange.user_id, exchange.thread or exchange.stream_id


def _question_and_reply(exchange: NewExchange, session_id: int, now: datetime) -> list[dict[str, Any]]:
    common = {"user_id": exchange.user_id, "session_id": session_id, "created_at": now}
    question = {
        "uuid": str(uuid4()),
        "role": "user",
        "author": str(exchange.author or Author("user", exchange.user_id)),
        "status": "complete",
        "content": text_of(exchange.content),
        "parts": exchange.parts if isinstance(exchange, EncodedExchange) else None,
        "stream_id": None,
        "mode": None,
        "delivery": None,
    }
    reply = {
        "uuid": str(uuid4()),
        "role": "assistant",
        "author": str(Author("assistant", None)),
        "status": "streaming",
        "content": "",
        "parts": None,
        "stream_id": exchange.stream_id,
        "mode": exchange.mode,
        "delivery": exchange.delivery,
    }
    return [common | question, common | reply]


def _owned(connection: Connection, wanted: Sequence[NewExchange]) -> Owned:
    ids = {exchange.session_id for exchange in wanted if exchange.session_id is not None}
    if not ids:
        return {}
    rows = connection.execute(_SELECT_OWNED, {"ids": list(ids)})
    return {row.id: (row.user_id, Place(row.id, row.key, row.uuid)) for row in rows}


def _refusal(exchange: NewExchange, owned: Owned, used: set[tuple[str, str]]) -> RequestRejected | None:
    user_id = storable(exchange.user_id)
    if exchange.session_id is not None:
        owner, _ = owned.get(exchange.session_id, (None, None))
        if owner != user_id:
            return NotFound("No such session.")
    if exchange.idempotency is not None and (user_id, storable(exchange.idempotency.key)) in used:
        return Conflict("This Idempotency-Key was used before.")
    return None


def _touch(connection: Connection, accepted: Sequence[NewExchange], now: datetime) -> None:
    rows: list[dict[str, Any]] = [
        {
            "session_id": exchange.session_id,
            "now": now,
            "new_title": exchange.title[:MAX_TITLE_CHARS],
            "new_folded": exchange.title[:MAX_TITLE_CHARS].casefold(),
        }
        for exchange in accepted
        if exchange.session_id is not None
    ]
    if rows:
        # In one order everywhere, so that two processes never wait for each other.
        connection.execute(_TOUCH_SESSION, sorted(rows, key=lambda row: row["session_id"]))
