"""Keeps what growing replies have said so far, so that a crash loses a second of them and not all."""

import asyncio
import logging
from typing import Protocol

from gateway.contract.errors import StorageFailed
from gateway.contract.store import Checkpoint, MessageStore

log = logging.getLogger("sluice.checkpoints")


class Growing(Protocol):
    """A reply in the making: gateway.core.reply_task, as far as it is needed here."""

    def checkpoint(self) -> tuple[Checkpoint, int] | None:
        """What it has said, and the number of its latest event; None if that is kept already."""
        ...

    def checkpointed(self, seq: int) -> None:
        """What it had said up to that event is kept."""
        ...

    def lost(self) -> None:
        """End it as failed: its row was deleted, or ended or taken over from elsewhere."""
        ...


class Checkpoints:
    """One commit every `every_s` seconds for all replies that have grown since the last."""

    def __init__(self, store: MessageStore, every_s: float = 1.0) -> None:
        self._store = store
        self._every_s = every_s
        self._growing: set[Growing] = set()

    def watch(self, reply: Growing) -> None:
        self._growing.add(reply)

    def leave(self, reply: Growing) -> None:
        self._growing.discard(reply)

    async def run(self) -> None:
        """Go on until cancelled; a database that refuses is asked again next time."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.keep_all()
            except StorageFailed as error:
                log.debug("no checkpoint: %s", error)  # the store has said so, once

    async def keep_all(self) -> None:
        """Keep what all of them have said by now."""
        said = [(reply, *kept) for reply in self._growing if (kept := reply.checkpoint()) is not None]
        if not said:
            return
        refused = await self._store.checkpoint([checkpoint for _, checkpoint, _ in said])
        for reply, checkpoint, seq in said:
            if checkpoint.assistant_message_id in refused:
                reply.lost()
            else:
                reply.checkpointed(seq)
