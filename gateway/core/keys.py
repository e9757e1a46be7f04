"""Whom a key lets in: all living keys, held in memory and never more than a few seconds old."""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.contract.errors import StorageFailed
from gateway.contract.keys import ALL_PERMISSIONS, KeyCensus, KeyStore, Permission, StoredKey
from gateway.core.rate_limits import Allowance, Quota

log = logging.getLogger("sluice.keys")

KEY_MARK = "sk-"
KEY_BYTES = 32
SHOWN_CHARS = 11
"""Of a key, for people to tell it from others; what stays hidden is more than 200 bits."""

REFRESH_S = 2.0
MAX_AGE_S = 4.0
"""A key is dead, and open mode over, at most this much later than the database says so."""

NOTE_USED_S = 60.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. key_id: the key that let them in; None without one. allowance: None for no limits."""

    user_id: str
    permissions: frozenset[Permission] = ALL_PERMISSIONS
    key_id: int | None = None
    allowance: Allowance | None = None


def draw_key() -> str:
    """A new key, of 256 random bits."""
    return KEY_MARK + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> str:
    """What is kept of a key, and looked up: the time that takes tells of the digest at most."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def shown_of(key: str) -> str:
    return key[:SHOWN_CHARS]


class KeyRing:
    """closed: whether a key is needed; once there was one, for good.

    rate_per_minute, streams: of a user, where a key has no limits of its own. clock: seconds, monotonic.
    """

    def __init__(
        self, store: KeyStore, *, rate_per_minute: int, streams: int, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._rate_per_minute = rate_per_minute
        self._streams = streams
        self._clock = clock
        self._census = KeyCensus(0, 0)
        self.closed = False
        self._living: dict[str, StoredKey] = {}
        self._ids: frozenset[int] = frozenset()
        self._users: frozenset[str] = frozenset()
        self._read_at = self._failed_at = float("-inf")
        self._reading = asyncio.Lock()
        self._used: set[int] = set()
        self._noted_at: dict[int, float] = {}

    def __len__(self) -> int:
        """How many keys live."""
        return len(self._living)

    def caller(self, key: str) -> Caller | None:
        """Whom this key lets in."""
        stored = self._living.get(digest_of(key))
        if stored is None:
            return None
        self._used.add(stored.id)
        allowance = Allowance(
            self._quota(stored, stored.key.rate_per_minute, self._rate_per_minute),
            self._quota(stored, stored.key.streams, self._streams),
        )
        return Caller(stored.key.user_id, stored.key.permissions, stored.id, allowance)

    def stands(self, caller: Caller) -> bool:
        """Whether somebody who was let in would be again: their key lives, or one of their user's."""
        if not self.closed:
            return True
        return caller.user_id in self._users if caller.key_id is None else caller.key_id in self._ids

    def allowance_of(self, user_id: str) -> Allowance | None:
        """What a user may use who comes without a key, with a ticket or by MQTT; None: no limits."""
        if not self.closed:
            return None
        return Allowance(Quota(user_id, self._rate_per_minute), Quota(user_id, self._streams))

    async def be_fresh(self) -> None:
        """Return when what we know is at most MAX_AGE_S old; StorageFailed without the database."""
        now = self._clock()
        if now - self._read_at <= MAX_AGE_S:
            return
        async with self._reading:
            if self._failed_at >= now:
                raise StorageFailed("Keys cannot be checked: the database does not answer.")
            if self._clock() - self._read_at > MAX_AGE_S:
                await self._read()

    async def refresh(self) -> None:
        """Read what has changed; StorageFailed if the database does not answer."""
        async with self._reading:
            await self._read()

    async def note_used(self) -> None:
        """Keep which keys were used, of each at most once in NOTE_USED_S."""
        now = self._clock()
        due = {id for id in self._used if now - self._noted_at.get(id, float("-inf")) >= NOTE_USED_S}
        if due:
            await self._store.note_used(due)
            self._used -= due
            self._noted_at |= dict.fromkeys(due, now)

    async def run(self) -> None:
        """Stay fresh until cancelled."""
        failing = False
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.refresh()
                await self.note_used()
                failing = False
            except StorageFailed as error:
                if not failing:
                    log.warning("the keys cannot be read: %s", error)
                failing = True

    async def _read(self) -> None:
        asked_at = self._clock()
        try:
            census = await self._store.census()
            if census != self._census:
                self._hold(await self._store.all())
                self._census = census
        except StorageFailed:
            self._failed_at = self._clock()  # for those who wait behind us: they need not try in turn
            raise
        if census.made and not self.closed:
            self.closed = True
            log.info("an API key exists: requests need a key from now on")
        self._read_at = asked_at

    def _hold(self, keys: Sequence[StoredKey]) -> None:
        living = [stored for stored in keys if stored.revoked_at is None]
        self._living = {stored.key.digest: stored for stored in living}
        self._ids = frozenset(stored.id for stored in living)
        self._users = frozenset(stored.key.user_id for stored in living if "chat" in stored.key.permissions)

    def _quota(self, stored: StoredKey, own: int | None, common: int) -> Quota:
        # A key with a limit of its own is counted apart; no user's name holds a blank.
        return Quota(stored.key.user_id, common) if own is None else Quota(f"key {stored.id}", own)
