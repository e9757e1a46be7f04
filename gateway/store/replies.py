"""Stores checkpoints and ends of replies, all waiting ones in one transaction.

A gateway changes only replies that it owns: each statement checks owner and epoch, so that after a takeover
the previous owner cannot overwrite the reply.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal_column, or_, update

from gateway.contract.exchanges import Charge, Checkpoint, Exchange, FinalReply
from gateway.store.keys import charge_keys
from gateway.store.rows import final_values
from gateway.store.statements import ChangedRow, Statement
from gateway.store.tables import STREAMING, messages
from gateway.store.usage import count_ended
from gateway.store.writer import Write

_ENDED = tuple(
    final_values(FinalReply(0, status="complete", reason="", content="", delivery="token", mode=""))
)

_MINE = (
    messages.c.id == bindparam("message_id"),
    messages.c.owner == bindparam("my_name"),
    messages.c.epoch == bindparam("my_epoch"),
)
_CHECKPOINT = ChangedRow(
    update(messages)
    .where(*_MINE, STREAMING)
    .values(handle=func.coalesce(bindparam("new_handle", type_=messages.c.handle.type), messages.c.handle)),
    ("content", "reasoning", "event_lengths"),
    id="message_id",
)
_KEEP_HANDLE = Statement(update(messages).where(*_MINE, STREAMING).returning(messages.c.id), ("handle",))
_FINISH = ChangedRow(update(messages).where(*_MINE, STREAMING), _ENDED, id="message_id", told="user_id")
_CHANGE_END = Statement(
    update(messages)
    .where(
        *_MINE, or_(messages.c.status == bindparam("over"), bindparam("over") == literal_column("'ended'"))
    )
    .returning(messages.c.id),
    _ENDED,
)
_OTHERS = or_(messages.c.owner.is_(None), messages.c.owner != bindparam("me"))
_SWEEP = (
    update(messages)
    .where(STREAMING, _OTHERS)
    .values(status="interrupted", reason="interrupted", owner=bindparam("me"), epoch=messages.c.epoch + 1)
)
_SWEEP_DEAD = _SWEEP.where(messages.c.owner.in_(bindparam("dead", expanding=True)))


class Replies:
    """The changes `checkpoint`, `keep_handle`, `finish` and `sweep`. `owner` identifies this start of this
    gateway."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        # Ranks: after `begin`, and checkpoints before ends. Outcome: message ids of those not stored.
        self.checkpoint = Write[Sequence[Checkpoint], Sequence[int]](
            self._checkpoint, rank=2, needs_caller=True
        )
        self.keep_handle = Write[tuple[Exchange, Mapping[str, Any]], bool](
            self._keep_handle, rank=2, needs_caller=True
        )
        # Payload: the reply and the current time. A caller that gives up reports a failure to its readers:
        # its change must not be made afterwards.
        self.finish = Write[tuple[FinalReply, datetime], bool](self._finish, rank=3, needs_caller=True)
        # Payload: dead owners; None for all others.
        self.sweep = Write[Collection[str] | None, int](self._sweep, rank=4)

    def _mine(self, message_id: int, epoch: int) -> dict[str, Any]:
        return {"message_id": message_id, "my_name": self._owner, "my_epoch": epoch}

    def _checkpoint(
        self, connection: Connection, handed: Sequence[Sequence[Checkpoint]]
    ) -> list[Sequence[int]]:
        # In the same order in all processes, which prevents deadlocks.
        checkpoints = sorted(
            (checkpoint for checkpoints in handed for checkpoint in checkpoints),
            key=lambda checkpoint: checkpoint.assistant_message_id,
        )
        rows = [
            {
                **self._mine(checkpoint.assistant_message_id, checkpoint.epoch),
                "content": checkpoint.content,
                "reasoning": checkpoint.reasoning,
                "event_lengths": checkpoint.event_lengths,
                "new_handle": checkpoint.handle,
            }
            for checkpoint in checkpoints
        ]
        stored = _CHECKPOINT.ids(connection, rows)
        ids = [[checkpoint.assistant_message_id for checkpoint in checkpoints] for checkpoints in handed]
        return [[id for id in several if id not in stored] for several in ids]

    def _keep_handle(
        self, connection: Connection, wanted: Sequence[tuple[Exchange, Mapping[str, Any]]]
    ) -> list[bool]:
        return [
            _KEEP_HANDLE.row(
                connection, {**self._mine(exchange.assistant_message_id, exchange.epoch), "handle": handle}
            )
            is not None
            for exchange, handle in wanted
        ]

    def _finish(self, connection: Connection, finished: Sequence[tuple[FinalReply, datetime]]) -> list[bool]:
        # In the same order in all processes, which prevents deadlocks.
        order = sorted(range(len(finished)), key=lambda at: finished[at][0].assistant_message_id)
        rows = {
            at: {**self._mine(reply.assistant_message_id, reply.epoch), **final_values(reply)}
            for at in order
            for reply, _ in (finished[at],)
        }
        users = _FINISH.told(connection, [*rows.values()])
        outcomes = [False] * len(finished)
        ended: list[tuple[str, str, FinalReply]] = []
        charges: list[tuple[Charge, str]] = []
        for at, row in rows.items():
            reply, now = finished[at]
            was_running = reply.assistant_message_id in users
            if reply.charge is not None and (was_running or reply.over == "streaming"):
                charges.append((reply.charge, now.date().isoformat()))
            # Of two ends of one reply the first one counts.
            if (user_id := users.pop(reply.assistant_message_id, None)) is not None:
                outcomes[at] = True
                ended.append((user_id, now.date().isoformat(), reply))
            elif reply.over != "streaming":
                # Its usage is counted already: only its end changes.
                outcomes[at] = _CHANGE_END.row(connection, {**row, "over": reply.over}) is not None
        charge_keys(connection, charges)
        count_ended(connection, ended)
        return outcomes

    def _sweep(self, connection: Connection, asked: Sequence[Collection[str] | None]) -> list[int]:
        return [
            connection.execute(_SWEEP, {"me": self._owner}).rowcount
            if dead is None
            else connection.execute(_SWEEP_DEAD, {"me": self._owner, "dead": list(dead)}).rowcount
            for dead in asked
        ]
