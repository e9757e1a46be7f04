"""Keeps an issuer's keys, and reads them again when they are old or a token names another key."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.contract.identities import IssuerUnavailable
from gateway.issuer.discovery import FETCH_S, DiscoveryFailed, Published
from gateway.issuer.signing_keys import SigningKeys

log = logging.getLogger("sluice.issuer")

PAUSE_S = 10.0
"""Minimum seconds between the begins of two reads, whatever tokens arrive."""

WAIT_S = FETCH_S + 1
"""Maximum seconds for which a request waits for the keys."""


class Timer(Protocol):
    """A call in the future, as asyncio.TimerHandle."""

    def cancel(self) -> None: ...


def _on_this_loop(delay_s: float, call: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(delay_s, call)


class KeyCache:
    """The keys of one issuer. Nothing is read before the first token; `run` reads from then on.

    If the issuer is away, the keys that are known stay in use, and it is asked again every PAUSE_S.

    Args:
        read: reads the keys. Raises DiscoveryFailed.
        clock: seconds, monotonic.
        later: calls a function after so many seconds.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Published]],
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], Timer] = _on_this_loop,
    ) -> None:
        self._read = read
        self._clock = clock
        self._later = later
        self.keys: SigningKeys | None = None
        self._wanted = asyncio.Event()
        self._read_ended: asyncio.Event | None = None
        self._began_at = float("-inf")
        self._failing = False
        self._timer: Timer | None = None

    async def renew(self) -> SigningKeys:
        """Read the keys again, unless that began less than PAUSE_S ago, and return what is known then.

        Concurrent calls share one read. Raises IssuerUnavailable if no keys are known.
        """
        if self._read_ended is None and self._clock() - self._began_at >= PAUSE_S:
            self._begin()
        if self._read_ended is not None:
            try:
                async with asyncio.timeout(WAIT_S):
                    await self._read_ended.wait()
            except TimeoutError:
                pass
        if self.keys is None:
            wait_s = max(1.0, self._began_at + PAUSE_S - self._clock())
            raise IssuerUnavailable(
                "Tokens cannot be verified: the issuer's keys cannot be read.", retry_after_s=wait_s
            )
        return self.keys

    async def run(self) -> None:
        """Read whenever it is wanted, until cancelled."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                next_s = await self._read_once()
                self._timer = self._later(next_s, self._begin)
                if self._read_ended is not None:
                    self._read_ended.set()
                    self._read_ended = None
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _begin(self) -> None:
        """Begin a read. None is running: the timer runs between two reads only."""
        if self._timer is not None:
            self._timer.cancel()
        self._read_ended = asyncio.Event()
        self._began_at = self._clock()
        self._wanted.set()

    async def _read_once(self) -> float:
        """Return the seconds until the next read. A failure is logged once, until the issuer is back."""
        try:
            published = await self._read()
        except DiscoveryFailed as error:
            if not self._failing:
                kept = "" if self.keys is None else "; the keys read before stay in use"
                log.warning("the issuer's keys cannot be read: %s%s", error, kept)
            self._failing = True
            return PAUSE_S
        except Exception:
            log.exception("the issuer's keys cannot be read, because of an unexpected error")
            return PAUSE_S
        if self.keys != published.keys:
            log.info("the issuer has %d keys for signatures", len(published.keys))
            self.keys = published.keys
        elif self._failing:
            log.info("the issuer's keys can be read again")
        self._failing = False
        return published.max_age_s
