"""Takes over some of the running replies of gateways that have died, in one transaction.

At most AT_ONCE: several gateways notice a death, and each of them takes a part.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Text, Update, bindparam, cast, or_, select, update

from gateway.contract.adoption import LeftReply, OrphanedReply, TakenOver
from gateway.contract.exchanges import Exchange
from gateway.contract.reattach import Handle
from gateway.store.branches import question_of
from gateway.store.rows import stored_message
from gateway.store.tables import STREAMING, messages, sessions
from gateway.store.writer import Write

AT_ONCE = 100
_MINE = {"owner": bindparam("me"), "epoch": messages.c.epoch + 1}
_OF_OTHERS = or_(messages.c.owner.is_(None), messages.c.owner != bindparam("me"))
_OF_THE_DEAD = messages.c.owner.in_(bindparam("dead", expanding=True))


def _found(whose: Any) -> Select[Any]:
    # Locked rows are skipped, not waited for: another gateway is taking them now, or their own was frozen in
    # a transaction.
    found = select(messages.c.id).where(STREAMING, whose).order_by(messages.c.id)
    return found.with_for_update(skip_locked=True)


def _interrupt(whose: Any) -> Update:
    lost = _found(whose).where(messages.c.handle.is_(None))
    ended = {"status": "interrupted", "reason": "interrupted"}
    told = (messages.c.session_id, messages.c.stream_id, messages.c.id, messages.c.parent_id)
    return update(messages).where(messages.c.id.in_(lost)).values(**ended, **_MINE).returning(*told)


def _some(whose: Any) -> Select[Any]:
    # Without a handle: its lock was let go since `_interrupt`, which takes it next time.
    return _found(whose).where(messages.c.handle.is_not(None)).limit(AT_ONCE)


_TAKE = update(messages).where(messages.c.id.in_(bindparam("ids", expanding=True))).values(**_MINE)
_ADOPTED: Select[Any] = (
    select(
        *(column for column in messages.c if column is not messages.c.handle),
        cast(messages.c.handle, Text).label("handle_text"),
        sessions.c.key.label("session_key"),
        sessions.c.uuid.label("session_uuid"),
        (sessions.c.created_at == messages.c.created_at).label("opens_session"),
    )
    .join(sessions, sessions.c.id == messages.c.session_id)
    .where(messages.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(messages.c.id)
)


class Adoptions:
    """The change `adopt`. `owner` identifies this start of this gateway."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.adopt = Write[Collection[str] | None, TakenOver](self._adopt, rank=4)

    def _adopt(self, connection: Connection, asked: Sequence[Collection[str] | None]) -> list[TakenOver]:
        return [self._take_over(connection, dead) for dead in asked]

    def _take_over(self, connection: Connection, dead: Collection[str] | None) -> TakenOver:
        values: dict[str, Any] = {"me": self._owner}
        whose: Any = _OF_OTHERS
        if dead is not None:
            whose, values["dead"] = _OF_THE_DEAD, [owner for owner in dead if owner != self._owner]
        interrupted = [
            LeftReply(session_id, stream_id or "", id, question_id or 0)
            for session_id, stream_id, id, question_id in connection.execute(_interrupt(whose), values)
        ]
        ids = [*connection.execute(_some(whose), values).scalars()]
        if not ids:
            return TakenOver([], interrupted)
        connection.execute(_TAKE, {"ids": ids, "me": self._owner})
        rows = connection.execute(_ADOPTED, {"ids": ids}).all()
        return TakenOver([_orphaned(connection, row) for row in rows], interrupted)


def _orphaned(connection: Connection, row: Row[Any]) -> OrphanedReply:
    exchange = Exchange(
        session_id=row.session_id,
        session_key=row.session_key,
        session_uuid=row.session_uuid,
        user_message_id=question_of(connection, row.id),
        assistant_message_id=row.id,
        assistant_message_uuid=row.uuid,
        opens_session=row.opens_session,
        epoch=row.epoch,
        new_question=False,
        continues=bool(row.continued),
    )
    return OrphanedReply(row.user_id, stored_message(row), exchange, _handle_in(row.handle_text))


def _handle_in(text: str) -> Handle:
    """Return the stored handle; an empty one if it is invalid: its reply must not keep others from theirs."""
    try:
        handle = json.loads(text)
    except (ValueError, RecursionError):
        handle = None
    return handle if isinstance(handle, dict) else {}
