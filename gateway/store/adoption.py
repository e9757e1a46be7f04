"""Takes over the running replies of gateways that have died, in one transaction."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, or_, select, update

from gateway.contract.adoption import OrphanedReply, TakenOver
from gateway.contract.exchanges import Exchange
from gateway.store.branches import question_of
from gateway.store.rows import stored_message
from gateway.store.tables import STREAMING, messages, sessions
from gateway.store.writer import Write

_MINE = {"owner": bindparam("me"), "epoch": messages.c.epoch + 1}
_OF_OTHERS = or_(messages.c.owner.is_(None), messages.c.owner != bindparam("me"))
_OF_THE_DEAD = messages.c.owner.in_(bindparam("dead", expanding=True))


def _interrupt(whose: Any) -> Update:
    # A row that another gateway has taken meanwhile does not match any more: one of them wins.
    return (
        update(messages)
        .where(STREAMING, whose, messages.c.handle.is_(None))
        .values(status="interrupted", reason="interrupted", **_MINE)
    )


def _take(whose: Any) -> Update:
    return update(messages).where(STREAMING, whose).values(**_MINE).returning(messages.c.id)


_ADOPTED = (
    select(
        messages,
        sessions.c.key.label("session_key"),
        sessions.c.uuid.label("session_uuid"),
        (sessions.c.created_at == messages.c.created_at).label("opens_session"),
    )
    .join(sessions, sessions.c.id == messages.c.session_id)
    .where(messages.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(messages.c.id)
)
_MAX_IDS = 500


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
        interrupted = connection.execute(_interrupt(whose), values).rowcount
        ids = [*connection.execute(_take(whose), values).scalars()]
        replies = [
            _orphaned(connection, row)
            for at in range(0, len(ids), _MAX_IDS)
            for row in connection.execute(_ADOPTED, {"ids": ids[at : at + _MAX_IDS]}).all()
        ]
        return TakenOver(replies, interrupted)


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
    return OrphanedReply(row.user_id, stored_message(row), exchange, row.handle)
