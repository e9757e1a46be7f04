"""Stores the text of running replies at intervals, so that a crash loses only about the last second of it."""

import asyncio
import logging
from typing import Protocol

from gateway.contract.errors import StorageFailed
from gateway.contract.exchanges import Checkpoint
from gateway.contract.store import MessageStore

log = logging.getLogger("sluice.checkpoints")


class Growing(Protocol):
    """A running reply: the methods of gateway.core.reply_task.ReplyTask that Checkpoints uses."""

    def checkpoint(self) -> tuple[Checkpoint, int] | None:
        """Return its text so far and the number of its latest event; None if that is stored already."""
        ...

    def checkpointed(self, seq: int) -> None:
        """Note that its text up to event `seq` is stored."""
        ...

    def lost(self) -> None:
        """End it as failed: its row was deleted, or another gateway ended it or took it over."""
        ...


class Checkpoints:
    """Stores, in one commit every `every_s` seconds, all replies that have new events."""

    def __init__(self, store: MessageStore, every_s: float = 1.0) -> None:
        self._store = store
        self._every_s = every_s
        self._growing: set[Growing] = set()

    def watch(self, reply: Growing) -> None:
        self._growing.add(reply)

    def leave(self, reply: Growing) -> None:
        self._growing.discard(reply)

    async def run(self) -> None:
        """Store all replies at intervals until cancelled. A failed commit is repeated at the next
        interval."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.keep_all()
            except StorageFailed as error:
                log.debug("no checkpoint: %s", error)  # the store's writer has logged it, once

    async def keep_all(self) -> None:
        """Store the text of all watched replies now. Raises StorageFailed."""
        said = [(reply, *kept) for reply in self._growing if (kept := reply.checkpoint()) is not None]
        if not said:
            return
        refused = await self._store.checkpoint([checkpoint for _, checkpoint, _ in said])
        for reply, checkpoint, seq in said:
            if checkpoint.assistant_message_id in refused:
                reply.lost()
            else:
                reply.checkpointed(seq)
