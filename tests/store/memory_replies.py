"""Replies in memory: how they go on and end. See tests.store.memory_store."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.contract.adoption import LeftReply, OrphanedReply, TakenOver
from gateway.contract.authors import Author
from gateway.contract.devices import StoredDevice
from gateway.contract.errors import StorageFailed
from gateway.contract.exchanges import Charge, Checkpoint, Exchange, FinalReply
from gateway.contract.record import replace
from gateway.contract.store import StoredMessage, StoredSession
from gateway.store.adoption import AT_ONCE
from gateway.store.columns import storable

LARGEST = 2**63 - 1


@dataclass
class Kept:
    """A message, and what only the store knows of it. opens: its session was made for it."""

    message: StoredMessage
    user_id: str
    opens: bool = False
    owner: str | None = None
    epoch: int = 0
    handle: Mapping[str, Any] | None = None


@dataclass
class MemoryDatabase:
    """Everything that outlives a store. Ids are never used twice."""

    sessions: dict[int, StoredSession] = field(default_factory=dict)
    threads: dict[int, str] = field(default_factory=dict)
    messages: dict[int, Kept] = field(default_factory=dict)
    claims: dict[tuple[str, str], tuple[str, int, datetime]] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    devices: dict[str, StoredDevice] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)
    last_session: int = 0
    last_message: int = 0


class MemoryReplies:
    """The part of MemoryStore that writes into replies, where owner and epoch are its own."""

    def __init__(self, database: MemoryDatabase, owner: str) -> None:
        self._kept = database
        self._owner = owner
        self._open = False

    @asynccontextmanager
    async def running(self, *, alone: bool = True) -> AsyncIterator[None]:
        self._open = True
        try:
            yield
        finally:
            self._open = False

    async def ping(self) -> None:
        await self._turn()

    async def _turn(self) -> None:
        """Wait as for a database; a caller that gives up meanwhile changes nothing."""
        if not self._open:
            raise StorageFailed("The store is closed.")
        await asyncio.sleep(0)

    def _mine(self, message_id: int, epoch: int) -> Kept | None:
        kept = self._kept.messages.get(message_id)
        return kept if kept is not None and (kept.owner, kept.epoch) == (self._owner, epoch) else None

    async def sweep(self, dead: Collection[str] | None = None) -> int:
        await self._turn()
        left = [
            kept
            for kept in self._kept.messages.values()
            if kept.message.status == "streaming" and kept.owner != self._owner
            if dead is None or kept.owner in dead
        ]
        for kept in left:
            kept.owner, kept.epoch = self._owner, kept.epoch + 1
            kept.message = replace(kept.message, status="interrupted", reason="interrupted")
        return len(left)

    async def adopt(self, dead: Collection[str] | None) -> TakenOver:
        await self._turn()
        theirs = [
            kept
            for kept in self._kept.messages.values()
            if kept.message.status == "streaming"
            and kept.owner != self._owner
            and (dead is None or kept.owner in dead)
        ][:AT_ONCE]
        replies: list[OrphanedReply] = []
        interrupted: list[LeftReply] = []
        for kept in theirs:
            kept.owner, kept.epoch = self._owner, kept.epoch + 1
            kept.message = replace(kept.message, epoch=kept.epoch)
            if kept.handle is None:
                kept.message = replace(kept.message, status="interrupted", reason="interrupted")
                interrupted.append(
                    LeftReply(
                        kept.message.session_id,
                        kept.message.stream_id or "",
                        kept.message.id,
                        kept.message.parent_id or 0,
                    )
                )
            else:
                exchange = replace(
                    self._exchange(kept), new_question=False, continues=bool(kept.message.places)
                )
                replies.append(OrphanedReply(kept.user_id, kept.message, exchange, kept.handle))
        return TakenOver(replies, interrupted)

    def _exchange(self, kept: Kept) -> Exchange:
        raise NotImplementedError

    async def checkpoint(self, checkpoints: Sequence[Checkpoint]) -> Sequence[int]:
        await self._turn()
        refused: list[int] = []
        for checkpoint in checkpoints:
            kept = self._mine(checkpoint.assistant_message_id, checkpoint.epoch)
            if kept is None or kept.message.status != "streaming":
                refused.append(checkpoint.assistant_message_id)
                continue
            reasoning = None if checkpoint.reasoning is None else storable(checkpoint.reasoning)
            kept.message = replace(
                kept.message,
                content=storable(checkpoint.content),
                reasoning=reasoning,
                event_lengths=checkpoint.event_lengths,
            )
            kept.handle = checkpoint.handle or kept.handle
        return refused

    async def keep_handle(self, exchange: Exchange, handle: Mapping[str, Any]) -> bool:
        await self._turn()
        kept = self._mine(exchange.assistant_message_id, exchange.epoch)
        if kept is None or kept.message.status != "streaming":
            return False
        kept.handle = handle
        return True

    async def finish(self, reply: FinalReply) -> bool:
        await self._turn()
        if _too_large(reply):
            raise StorageFailed("The database refused the change.")
        return self._finish(reply)

    def finish_later(self, reply: FinalReply) -> None:
        if _too_large(reply):
            reply = replace(
                reply, tool_calls=(), tool_call_seqs=(), last_seq=None, reasoning=None, usage=None
            )
        self._finish(replace(reply, over="ended"))

    def _finish(self, reply: FinalReply) -> bool:
        kept = self._mine(reply.assistant_message_id, reply.epoch)
        if kept is None or not (reply.over == "ended" or kept.message.status in ("streaming", reply.over)):
            return False
        if reply.charge is not None and kept.message.status == "streaming":
            self._kept.charges.append(reply.charge)
        error, model = reply.error, None if reply.model is None else storable(reply.model)
        kept.message = replace(
            kept.message,
            status=reply.status,
            reason=reply.reason,
            content=storable(reply.content),
            delivery=reply.delivery,
            mode=reply.mode,
            reasoning=None if reply.reasoning is None else storable(reply.reasoning),
            tool_calls=tuple(
                replace(
                    call, id=storable(call.id), name=storable(call.name), arguments=storable(call.arguments)
                )
                for call in reply.tool_calls
            ),
            tool_call_seqs=tuple(reply.tool_call_seqs),
            last_seq=reply.last_seq,
            model=model,
            author=Author("assistant", model),
            usage=reply.usage,
            ttft_ms=reply.ttft_ms,
            response_ms=reply.response_ms,
            event_lengths=reply.event_lengths,
            error=error and replace(error, code=storable(error.code), message=storable(error.message)),
        )
        return True


def _too_large(reply: FinalReply) -> bool:
    """Return whether a number in it is larger than a database holds."""
    return max(reply.last_seq or 0, 0 if reply.usage is None else reply.usage.total_tokens) > LARGEST
