"""Stores the text of running replies at intervals, so that a crash loses only about the last second of it."""

import asyncio
import logging

from gateway.contract.errors import StorageFailed
from gateway.contract.store import MessageStore
from gateway.core.reply_task import ReplyTask

log = logging.getLogger("sluice.checkpoints")


class Checkpoints:
    """Stores, in one commit every `every_s` seconds, all replies that have new events."""

    def __init__(self, store: MessageStore, every_s: float = 1.0) -> None:
        self._store = store
        self._every_s = every_s
        self._growing: set[ReplyTask] = set()
        self._unchanged = False

    def watch(self, reply: ReplyTask) -> None:
        self._growing.add(reply)

    def leave(self, reply: ReplyTask) -> None:
        self._growing.discard(reply)

    def check_unchanged(self) -> None:
        """Include replies without new events at the next interval: another gateway may have them."""
        self._unchanged = True

    async def run(self) -> None:
        """Store all replies at intervals until cancelled. A failed commit is repeated at the next
        interval."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.keep_all(unchanged=self._unchanged)
                self._unchanged = False
            except StorageFailed as error:
                log.debug("no checkpoint: %s", error)  # the store's writer has logged it, once

    async def keep_all(self, *, unchanged: bool = False) -> None:
        """Store the text of all watched replies now. Raises StorageFailed.

        unchanged: True includes replies without new events, and so ends all that another gateway has taken
        over.
        """
        said = [
            (reply, *kept)
            for reply in self._growing
            if (kept := reply.checkpoint(unchanged=unchanged)) is not None
        ]
        if not said:
            return
        refused = await self._store.checkpoint([checkpoint for _, checkpoint, _ in said])
        for reply, checkpoint, seq in said:
            if checkpoint.assistant_message_id in refused:
                await reply.lost()
            else:
                reply.checkpointed(seq)
