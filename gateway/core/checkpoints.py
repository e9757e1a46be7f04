"""Stores the text of running replies at intervals, so that a crash loses only about the last second of it."""

import asyncio
import logging
from collections.abc import Callable

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
        self._on_checked: Callable[[], None] | None = None
        self._replaced: set[ReplyTask] = set()
        self._wake = asyncio.Event()

    def watch(self, reply: ReplyTask) -> None:
        self._growing.add(reply)

    def leave(self, reply: ReplyTask) -> None:
        self._growing.discard(reply)

    def check_owners(self, on_checked: Callable[[], None] | None) -> None:
        """At the next interval include replies without new events, which ends all that another gateway has
        taken over, and then call `on_checked`. None cancels this."""
        self._on_checked = on_checked

    def replace_handle(self, reply: ReplyTask) -> None:
        """Store the reply's new handle soon."""
        self._replaced.add(reply)
        self._wake.set()

    async def run(self) -> None:
        """Store all replies at intervals, and new handles at once, until cancelled. A failed commit is
        repeated at the next interval."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_handles())
            while True:
                await asyncio.sleep(self._every_s)
                try:
                    await self._keep_and_check()
                except StorageFailed as error:
                    log.debug("no checkpoint: %s", error)  # the store's writer has logged it, once

    async def _keep_and_check(self) -> None:
        wanted = self._on_checked
        await self.keep_all(unchanged=wanted is not None)
        if wanted is not None and wanted is self._on_checked:
            self._on_checked = None
            wanted()

    async def _keep_handles(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            replies, self._replaced = self._replaced & self._growing, set()
            async with asyncio.TaskGroup() as tasks:
                for reply in replies:
                    tasks.create_task(self._keep_handle(reply))

    async def _keep_handle(self, reply: ReplyTask) -> None:
        handle = reply.new_handle()
        if reply.handle is None or handle is None:
            return
        try:
            if not await self._store.keep_handle(reply.exchange, handle):
                await reply.lost()
                return
        except StorageFailed as error:
            log.debug("no handle: %s", error)  # the next checkpoint stores it
        reply.handle.was_written(handle)

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
