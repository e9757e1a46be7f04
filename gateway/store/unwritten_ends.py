"""Holds the final states of replies that readers have received and the database has not accepted yet."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from gateway.contract.authors import Author
from gateway.contract.exchanges import FinalReply
from gateway.contract.record import replace
from gateway.contract.store import StoredMessage
from gateway.store.writer import Write, Writer

log = logging.getLogger("sluice.store")

MAX_ENDS = 1000
MAX_BYTES = 64 * 1024 * 1024

_OF_THE_MESSAGE = tuple(
    name
    for name in FinalReply.__struct_fields__
    if name not in ("assistant_message_id", "over", "epoch", "counted", "charge")
)


class UnwrittenEnds:
    """Holds final states until the writer has stored them.

    Args:
        clock: returns the time, aware.
        max_ends: maximum number of final states; beyond it the oldest is dropped.
        max_bytes: maximum size of all of them; beyond it the oldest is dropped.
    """

    def __init__(
        self,
        writer: Writer,
        finish: Write[tuple[FinalReply, datetime], bool],
        clock: Callable[[], datetime],
        *,
        max_ends: int = MAX_ENDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._writer = writer
        self._finish = finish
        self._clock = clock
        self._max_ends = max_ends
        self._max_bytes = max_bytes
        self._bytes = 0
        self._ends: dict[int, FinalReply] = {}
        self._writing: dict[int, asyncio.Future[bool]] = {}

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, reply: FinalReply) -> None:
        """Store this final state as soon as possible, whatever the status of its row."""
        id = reply.assistant_message_id
        self._drop(id)
        reply = replace(reply, over="ended")
        written = self._writer.owe(self._finish, (reply, self._clock()))
        self._ends[id], self._writing[id] = reply, written
        self._bytes += _size(reply)
        written.add_done_callback(partial(self._written, reply))
        while len(self._ends) > self._max_ends or self._bytes > self._max_bytes:
            oldest = next(iter(self._ends))
            log.error("too many ends of replies wait for the database: that of message %d is lost", oldest)
            self._drop(oldest)

    def held(self) -> Mapping[int, FinalReply]:
        """Return the final states by message id, for `as_told`.

        Call it before the row is read, because the end may be written in between.
        """
        return dict(self._ends)

    def _drop(self, id: int) -> None:
        reply = self._ends.pop(id, None)
        if reply is not None:
            self._bytes -= _size(reply)
            self._writing.pop(id).cancel()

    def _written(self, reply: FinalReply, written: asyncio.Future[bool]) -> None:
        id = reply.assistant_message_id
        if written.cancelled():
            return
        failure = written.exception()
        self._drop(id)
        if failure is None:
            result = (
                "is stored now"
                if written.result()
                else "is not stored: its session was deleted, or another gateway took the reply over"
            )
            log.info("the end of message %d, which the database had refused, %s", id, result)
        elif self._writer.open and reply != (bare := _bare(reply)):
            self.add(bare)
        else:
            log.error("the end of message %d is lost: %s", id, failure)


def as_told(message: StoredMessage, held: Mapping[int, FinalReply]) -> StoredMessage:
    """Return the message with its final state in `held`, if there is one: readers have received that."""
    reply = held.get(message.id)
    if reply is None:
        return message
    told = {name: getattr(reply, name) for name in _OF_THE_MESSAGE}
    return replace(message, author=Author("assistant", reply.model), **told)


def _bare(reply: FinalReply) -> FinalReply:
    """Return the same end and text, without the other fields, one of which the database may refuse."""
    return FinalReply(
        assistant_message_id=reply.assistant_message_id,
        status=reply.status,
        reason=reply.reason,
        content=reply.content,
        delivery=reply.delivery,
        mode=reply.mode,
        error=reply.error,
        over=reply.over,
        epoch=reply.epoch,
        charge=reply.charge,
    )


def _size(reply: FinalReply) -> int:
    """Return the approximate size in memory, in bytes."""
    calls = sum(len(call.arguments) for call in reply.tool_calls)
    return (
        1024 + 4 * (len(reply.content) + len(reply.reasoning or "") + calls) + len(reply.event_lengths or b"")
    )
