"""How a reply goes on and ends: all changes that wait at once, in statements compiled once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from gateway.contract.store import Checkpoint, FinalReply
from gateway.store.rows import FINAL_COLUMNS, final_values
from gateway.store.tables import STREAMING, messages
from gateway.store.usage import count_ended
from gateway.store.writer import Write

# Locked in the order of ids, so that two processes never wait for each other.
_SELECT_STATUS = (
    select(messages.c.id, messages.c.status, messages.c.user_id)
    .where(messages.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(messages.c.id)
    .with_for_update()
)
# The name of a bound value must differ from every column's.
_CHECKPOINT = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"), messages.c.status == "streaming")
    .values(content=bindparam("new_content"), reasoning=bindparam("new_reasoning"))
)
_FINISH = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"), messages.c.status == bindparam("before"))
    .values({column: bindparam(f"new_{column}") for column in FINAL_COLUMNS})
)
_SWEEP = update(messages).where(STREAMING).values(status="interrupted", reason="interrupted")


def _checkpoint(connection: Connection, handed: Sequence[Sequence[Checkpoint]]) -> list[None]:
    rows = [
        {
            "message_id": checkpoint.assistant_message_id,
            "new_content": checkpoint.content,
            "new_reasoning": checkpoint.reasoning,
        }
        for checkpoints in handed
        for checkpoint in checkpoints
    ]
    if rows:
        connection.execute(_CHECKPOINT, rows)
    return [None] * len(handed)


def _finish(connection: Connection, finished: Sequence[tuple[FinalReply, datetime]]) -> list[bool]:
    # Many updates in one call do not tell which of them found its row: lock the rows and look first.
    ids = {reply.assistant_message_id for reply, _ in finished}
    begun = connection.execute(_SELECT_STATUS, {"ids": list(ids)}).all()
    status: dict[int, str] = {id: status for id, status, _ in begun}
    users: dict[int, str] = {id: user_id for id, _, user_id in begun}
    rows: list[dict[str, Any]] = []
    outcomes: list[bool] = []
    ended: list[tuple[str, str, FinalReply]] = []
    for reply, now in finished:
        message_id = reply.assistant_message_id
        before = status.get(message_id)
        allowed = before in ("streaming", reply.over) or (reply.over == "ended" and before is not None)
        outcomes.append(allowed)
        if allowed:
            status[message_id] = reply.status
            row: dict[str, Any] = {"message_id": message_id, "before": before}
            row.update((f"new_{column}", value) for column, value in final_values(reply).items())
            rows.append(row)
            if before == "streaming":  # else it is counted already, and only its text becomes shorter
                ended.append((users[message_id], now.date().isoformat(), reply))
    if rows:
        connection.execute(_FINISH, rows)
        count_ended(connection, ended)
    return outcomes


def _sweep(connection: Connection, asked: Sequence[None]) -> list[int]:
    swept = connection.execute(_SWEEP).rowcount
    return [swept] * len(asked)


# After `begin`, and each reply's checkpoints before its end.
CHECKPOINT = Write[Sequence[Checkpoint], None](_checkpoint, rank=2, needs_caller=True)
# And now. A caller that gives up tells its readers that it failed: what it wrote before must not follow.
FINISH = Write[tuple[FinalReply, datetime], bool](_finish, rank=3, needs_caller=True)
SWEEP = Write[None, int](_sweep, rank=4)
