"""Deletes messages beyond RETENTION_DAYS and MESSAGES_PER_SESSION in the background."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from gateway.contract.deletions import DeletionStore
from gateway.contract.errors import StorageFailed

log = logging.getLogger("sluice")

FIRST_S = 60.0
EVERY_S = 3600.0


class Retention:
    """Runs the store's deletion a minute after the start and then every hour.

    Args:
        days: age at which messages are deleted; 0: never.
        messages_per_session: latest messages that a session keeps; 0: all.
        clock: returns the time, aware.
    """

    def __init__(
        self,
        store: DeletionStore,
        *,
        days: int,
        messages_per_session: int,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._days = days
        self._keep = messages_per_session
        self._clock = clock
        self._sleep = sleep

    async def run(self) -> None:
        """Run until cancelled; return at once if nothing is ever deleted."""
        if not self._days and not self._keep:
            return
        await self._sleep(FIRST_S)
        while True:
            await self._forget()
            await self._sleep(EVERY_S)

    async def _forget(self) -> None:
        before = self._clock() - timedelta(days=self._days) if self._days else None
        try:
            gone = await self._store.forget(before=before, keep=self._keep)
        except StorageFailed as failure:
            log.warning("old messages are not deleted now, but in an hour: %s", failure)
            return
        if gone.messages or gone.sessions:
            log.info("deleted %d old messages and %d empty sessions", gone.messages, gone.sessions)
