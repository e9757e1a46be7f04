"""Deletes old messages and old entries of the audit log in the background."""

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
        audit_days: age at which entries of the audit log are deleted; 0: never.
        clock: returns the time, aware.
    """

    def __init__(
        self,
        store: DeletionStore,
        *,
        days: int,
        messages_per_session: int,
        audit_days: int,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._days = days
        self._keep = messages_per_session
        self._audit_days = audit_days
        self._clock = clock
        self._sleep = sleep

    async def run(self) -> None:
        """Run until cancelled; return at once if nothing is ever deleted."""
        if not (self._days or self._keep or self._audit_days):
            return
        await self._sleep(FIRST_S)
        while True:
            try:
                await self._forget()
            except StorageFailed as failure:
                log.warning("old messages are not deleted now, but in an hour: %s", failure)
            await self._sleep(EVERY_S)

    async def _forget(self) -> None:
        if self._audit_days:
            gone = await self._store.forget_changes(self._before(self._audit_days))
            if gone:
                log.info("deleted %d old entries of the audit log", gone)
        if self._days or self._keep:
            before = self._before(self._days) if self._days else None
            forgotten = await self._store.forget(before=before, keep=self._keep)
            if forgotten.messages or forgotten.sessions:
                log.info(
                    "deleted %d old messages and %d empty sessions", forgotten.messages, forgotten.sessions
                )

    def _before(self, days: int) -> datetime:
        return self._clock() - timedelta(days=days)
