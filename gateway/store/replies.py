"""How a reply goes on and ends: all changes that wait at once, in statements compiled once."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, literal_column, or_, update

from gateway.contract.store import Checkpoint, FinalReply
from gateway.store.rows import final_values
from gateway.store.statements import Statement
from gateway.store.tables import STREAMING, messages
from gateway.store.usage import count_ended
from gateway.store.writer import Write

_GROWN = ("content", "reasoning")
_ENDED = tuple(
    final_values(FinalReply(0, status="complete", reason="", content="", delivery="token", mode=""))
)

_of_the_message = messages.c.id == bindparam("message_id")
_CHECKPOINT = Statement(update(messages).where(_of_the_message, STREAMING), _GROWN)
_FINISH = Statement(update(messages).where(_of_the_message, STREAMING).returning(messages.c.user_id), _ENDED)
_CHANGE_END = Statement(
    update(messages)
    .where(
        _of_the_message,
        or_(messages.c.status == bindparam("over"), bindparam("over") == literal_column("'ended'")),
    )
    .returning(messages.c.id),
    _ENDED,
)
_SWEEP = update(messages).where(STREAMING).values(status="interrupted", reason="interrupted")


def _checkpoint(connection: Connection, handed: Sequence[Sequence[Checkpoint]]) -> list[None]:
    rows = [
        {
            "message_id": checkpoint.assistant_message_id,
            "content": checkpoint.content,
            "reasoning": checkpoint.reasoning,
        }
        for checkpoints in handed
        for checkpoint in checkpoints
    ]
    if rows:
        _CHECKPOINT.run(connection, sorted(rows, key=lambda row: row["message_id"]))
    return [None] * len(handed)


def _finish(connection: Connection, finished: Sequence[tuple[FinalReply, datetime]]) -> list[bool]:
    outcomes = [False] * len(finished)
    ended: list[tuple[str, str, FinalReply]] = []
    # In the order of ids, so that two processes never wait for each other.
    for at in sorted(range(len(finished)), key=lambda at: finished[at][0].assistant_message_id):
        reply, now = finished[at]
        values = {"message_id": reply.assistant_message_id, **final_values(reply)}
        if begun := _FINISH.row(connection, values):
            outcomes[at] = True
            ended.append((begun[0], now.date().isoformat(), reply))
        elif reply.over != "streaming":
            # It is counted already, and only its text becomes shorter.
            outcomes[at] = _CHANGE_END.row(connection, {**values, "over": reply.over}) is not None
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
