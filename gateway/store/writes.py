"""What the writer does with each kind of change: all that wait at once, in statements compiled once."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import bindparam, case, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.errors import Conflict, NotFound, RequestRejected
from gateway.contract.store import Checkpoint, Exchange, FinalReply, NewExchange, StoredSession
from gateway.store.columns import storable
from gateway.store.records import final_values, stored_session
from gateway.store.tables import idempotency_keys, messages, sessions
from gateway.store.writer import Write

MAX_TITLE_CHARS = 120
KEY_DRAWS = 8

# The name of a bound value must differ from every column's: hence `new_`, `the_` and plurals.
_INSERT_SESSIONS = insert(sessions).returning(*sessions.c, sort_by_parameter_order=True)
_INSERT_MESSAGES = insert(messages).returning(messages.c.id, sort_by_parameter_order=True)
_INSERT_IDEMPOTENCY_KEYS = insert(idempotency_keys)

_SELECT_TAKEN_KEYS = select(sessions.c.key).where(sessions.c.key.in_(bindparam("keys", expanding=True)))
_SELECT_OWNERS = select(sessions.c.id, sessions.c.user_id, sessions.c.key).where(
    sessions.c.id.in_(bindparam("ids", expanding=True))
)
_SELECT_CLAIMED = select(idempotency_keys.c.user_id, idempotency_keys.c.key).where(
    tuple_(idempotency_keys.c.user_id, idempotency_keys.c.key).in_(bindparam("claims", expanding=True))
)
# Locked in the order of ids, so that two processes never wait for each other.
_SELECT_STATUS = (
    select(messages.c.id, messages.c.status)
    .where(messages.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(messages.c.id)
    .with_for_update()
)

_UNTITLED = sessions.c.title == ""
_TOUCH_SESSION = (
    update(sessions)
    .where(sessions.c.id == bindparam("the_id"))
    .values(
        updated_at=bindparam("now"),
        title=case((_UNTITLED, bindparam("new_title", type_=sessions.c.title.type)), else_=sessions.c.title),
        title_folded=case(
            (_UNTITLED, bindparam("new_folded", type_=sessions.c.title.type)), else_=sessions.c.title_folded
        ),
    )
)
_CHECKPOINT = (
    update(messages)
    .where(messages.c.id == bindparam("the_id"), messages.c.status == "streaming")
    .values(content=bindparam("new_content"), reasoning=bindparam("new_reasoning"))
)
_FINISH = (
    update(messages)
    .where(messages.c.id == bindparam("the_id"), messages.c.status == bindparam("the_status"))
    .values(
        {
            column: bindparam(f"new_{column}")
            for column in (
                *("status", "reason", "content", "reasoning", "tool_calls", "delivery", "mode", "model"),
                *("prompt_tokens", "completion_tokens", "total_tokens", "tokens_per_s", "ttft_ms"),
                *("error_code", "error_message"),
            )
        }
    )
)
_SWEEP = (
    update(messages)
    .where(messages.c.status == "streaming")
    .values(status="interrupted", reason="interrupted")
)


# Session id -> the user it belongs to and its key.
Owned = dict[int, tuple[str, str]]


class Writes:
    """Every kind of change a store can be asked for, in the order in which one group applies them.

    clock: now, aware. draw_key: a session key for a user id; asked again when it is taken.
    """

    def __init__(self, clock: Callable[[], datetime], draw_key: Callable[[str], str]) -> None:
        self._clock = clock
        self._draw_key = draw_key
        self.create = Write[tuple[str, str], StoredSession](self._create, rank=0)
        self.begin = Write[NewExchange, Exchange](self._begin, rank=1, needs_caller=True)
        self.checkpoint = Write[Sequence[Checkpoint], None](_checkpoint, rank=2)
        self.finish = Write[FinalReply, bool](_finish, rank=3)
        self.sweep = Write[None, int](_sweep, rank=4)

    async def _create(
        self, connection: AsyncConnection, wanted: Sequence[tuple[str, str]]
    ) -> list[StoredSession]:
        """wanted: user id and title of each session; a longer title is cut."""
        now = self._clock()
        keys = await self._free_keys(connection, [user_id for user_id, _ in wanted])
        rows = [
            {
                "uuid": str(uuid4()),
                "key": key,
                "user_id": user_id,
                "title": title[:MAX_TITLE_CHARS],
                "title_folded": title[:MAX_TITLE_CHARS].casefold(),
                "created_at": now,
                "updated_at": now,
            }
            for (user_id, title), key in zip(wanted, keys, strict=True)
        ]
        return [stored_session(row) for row in await connection.execute(_INSERT_SESSIONS, rows)]

    async def _free_keys(self, connection: AsyncConnection, user_ids: Sequence[str]) -> list[str]:
        keys = [self._draw_key(user_id) for user_id in user_ids]
        for _ in range(KEY_DRAWS):
            taken = set((await connection.execute(_SELECT_TAKEN_KEYS, {"keys": keys})).scalars())
            if not taken:
                break
            keys = [
                self._draw_key(user_id) if key in taken else key
                for user_id, key in zip(user_ids, keys, strict=True)
            ]
        return keys

    async def _begin(
        self, connection: AsyncConnection, wanted: Sequence[NewExchange]
    ) -> list[Exchange | RequestRejected]:
        owned = await _owned(connection, wanted)
        claimed = await _claimed(connection, wanted)
        refusals = [_refusal(exchange, owned, claimed) for exchange in wanted]
        accepted = [exchange for exchange, refusal in zip(wanted, refusals, strict=True) if refusal is None]
        begun = iter(await self._save(connection, accepted, owned) if accepted else ())
        return [refusal or next(begun) for refusal in refusals]

    async def _save(
        self, connection: AsyncConnection, accepted: Sequence[NewExchange], owned: Owned
    ) -> list[Exchange]:
        now = self._clock()
        starting = [
            (exchange.user_id, exchange.title) for exchange in accepted if exchange.session_id is None
        ]
        created = iter(await self._create(connection, starting) if starting else ())
        places: list[tuple[int, str]] = []
        touched: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for exchange in accepted:
            if exchange.session_id is None:
                session = next(created)
                places.append((session.id, session.key))
            else:
                places.append((exchange.session_id, owned[exchange.session_id][1]))
                title = exchange.title[:MAX_TITLE_CHARS]
                touched.append(
                    {
                        "the_id": exchange.session_id,
                        "now": now,
                        "new_title": title,
                        "new_folded": title.casefold(),
                    }
                )
            rows += _question_and_reply(exchange, places[-1][0], now)
        ids = (await connection.execute(_INSERT_MESSAGES, rows)).scalars().all()
        if touched:
            await connection.execute(_TOUCH_SESSION, touched)
        begun = [
            Exchange(session_id, key, question_id, reply_id)
            for (session_id, key), question_id, reply_id in zip(places, ids[::2], ids[1::2], strict=True)
        ]
        keys = [
            {
                "user_id": exchange.user_id,
                "key": exchange.idempotency.key,
                "fingerprint": exchange.idempotency.fingerprint,
                "message_id": saved.assistant_message_id,
                "created_at": now,
            }
            for exchange, saved in zip(accepted, begun, strict=True)
            if exchange.idempotency is not None
        ]
        if keys:
            await connection.execute(_INSERT_IDEMPOTENCY_KEYS, keys)
        return begun


def _question_and_reply(exchange: NewExchange, session_id: int, now: datetime) -> list[dict[str, Any]]:
    common = {"user_id": exchange.user_id, "session_id": session_id, "created_at": now}
    question = {
        "uuid": str(uuid4()),
        "role": "user",
        "status": "complete",
        "content": exchange.content,
        "stream_id": None,
        "mode": None,
        "delivery": None,
    }
    reply = {
        "uuid": str(uuid4()),
        "role": "assistant",
        "status": "streaming",
        "content": "",
        "stream_id": exchange.stream_id,
        "mode": exchange.mode,
        "delivery": exchange.delivery,
    }
    return [common | question, common | reply]


async def _owned(connection: AsyncConnection, wanted: Sequence[NewExchange]) -> Owned:
    ids = {exchange.session_id for exchange in wanted if exchange.session_id is not None}
    if not ids:
        return {}
    rows = await connection.execute(_SELECT_OWNERS, {"ids": list(ids)})
    return {row.id: (row.user_id, row.key) for row in rows}


async def _claimed(connection: AsyncConnection, wanted: Sequence[NewExchange]) -> set[tuple[str, str]]:
    claims = [claim for exchange in wanted if (claim := _claim(exchange)) is not None]
    if not claims:
        return set()
    rows = await connection.execute(_SELECT_CLAIMED, {"claims": claims})
    return {(row.user_id, row.key) for row in rows}


def _claim(exchange: NewExchange) -> tuple[str, str] | None:
    if exchange.idempotency is None:
        return None
    return storable(exchange.user_id), storable(exchange.idempotency.key)


def _refusal(exchange: NewExchange, owned: Owned, claimed: set[tuple[str, str]]) -> RequestRejected | None:
    """Why this exchange must not be saved; if it may, its key counts as claimed from here on."""
    if exchange.session_id is not None:
        owner, _ = owned.get(exchange.session_id, (None, None))
        if owner != storable(exchange.user_id):
            return NotFound("No such session.")
    if (claim := _claim(exchange)) is not None:
        if claim in claimed:
            return Conflict("This Idempotency-Key was used before.")
        claimed.add(claim)
    return None


async def _checkpoint(connection: AsyncConnection, handed: Sequence[Sequence[Checkpoint]]) -> list[None]:
    rows = [
        {
            "the_id": checkpoint.assistant_message_id,
            "new_content": checkpoint.content,
            "new_reasoning": checkpoint.reasoning,
        }
        for checkpoints in handed
        for checkpoint in checkpoints
    ]
    if rows:
        await connection.execute(_CHECKPOINT, rows)
    return [None] * len(handed)


async def _finish(connection: AsyncConnection, replies: Sequence[FinalReply]) -> list[bool]:
    # Many updates in one call do not tell which of them found its row: lock the rows and look first.
    ids = {reply.assistant_message_id for reply in replies}
    status = {row.id: row.status for row in await connection.execute(_SELECT_STATUS, {"ids": list(ids)})}
    rows: list[dict[str, Any]] = []
    outcomes: list[bool] = []
    for reply in replies:
        id = reply.assistant_message_id
        outcomes.append(status.get(id) == reply.over)
        if outcomes[-1]:
            status[id] = reply.status
            rows.append({"the_id": id, "the_status": reply.over})
            rows[-1].update((f"new_{column}", value) for column, value in final_values(reply).items())
    if rows:
        await connection.execute(_FINISH, rows)
    return outcomes


async def _sweep(connection: AsyncConnection, asked: Sequence[None]) -> list[int]:
    swept = (await connection.execute(_SWEEP)).rowcount
    return [swept] * len(asked)
