"""Authenticates API keys from a copy of all valid keys in memory, refreshed every few seconds."""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.contract.audit import Actor
from gateway.contract.errors import KeyExpired, StorageFailed
from gateway.contract.keys import (
    ALL_PERMISSIONS,
    KeyCensus,
    KeyChange,
    KeyStore,
    NewKey,
    Permission,
    StoredKey,
)
from gateway.contract.limits import Quota
from gateway.core.rate_limits import Allowance
from gateway.core.refreshing import keep_fresh

log = logging.getLogger("sluice.keys")

KEY_MARK = "sk-"
KEY_BYTES = 32
SHOWN_CHARS = 11
"""Length of the prefix by which people identify a key; more than 200 random bits stay hidden."""

MAX_AGE_S = 4.0
"""Maximum seconds between the commit of a new or revoked key and its effect in this process."""

NOTE_USED_S = 60.0


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a request.

    Attributes:
        user_id: the account.
        permissions: the endpoints that it may use.
        key_id: the API key of the request; None without one.
        allowance: limits; None for no limits.
        expires_at: time at which the access of an issuer's user ends, in seconds since the epoch; None for
            all others.
    """

    user_id: str
    permissions: frozenset[Permission] = ALL_PERMISSIONS
    key_id: int | None = None
    allowance: Allowance | None = None
    expires_at: float | None = None


def draw_key() -> str:
    """Return a new key of 256 random bits."""
    return KEY_MARK + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> str:
    """Return the digest that is stored. Lookups by digest cannot leak the key through their timing."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def shown_of(key: str) -> str:
    return key[:SHOWN_CHARS]


class KeyRing:
    """The valid API keys. `closed` is True once any key was created, for good: requests then need a key.

    Args:
        store: the stored keys.
        rate_per_minute: requests per minute of a user, for keys without their own limit.
        streams: simultaneous replies of a user, for keys without their own limit.
        clock: seconds, monotonic.
        closed: True if requests need a key or token even before the first key, because there is an issuer.
        now: seconds since the epoch.

    Attributes:
        gateways: number of living gateways on the database.
    """

    def __init__(
        self,
        store: KeyStore,
        *,
        rate_per_minute: int,
        streams: int,
        clock: Callable[[], float],
        closed: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._rate_per_minute = rate_per_minute
        self._streams = streams
        self._clock = clock
        self._now = now
        self._census = KeyCensus(0, 0)
        self.closed = closed
        self.gateways = 1
        self._living: dict[str, StoredKey] = {}
        self._expired: dict[str, StoredKey] = {}
        self._held_at, self._next_expiry = float("-inf"), float("inf")
        self._ids: dict[int, StoredKey] = {}
        self._users: frozenset[str] = frozenset()
        self._read_at = self._failed_at = float("-inf")
        self._reading = asyncio.Lock()
        self._used: set[int] = set()
        self._noted_at: dict[int, float] = {}

    def __len__(self) -> int:
        """Number of valid keys."""
        return len(self._living)

    def caller(self, key: str) -> Caller | None:
        """Return the caller that this key authenticates; None if the key is not valid. Raises KeyExpired."""
        self._drop_expired()
        digest = digest_of(key)
        stored = self._living.get(digest)
        if stored is None:
            if (expired := self._expired.get(digest)) is not None:
                raise KeyExpired(f"The API key expired at {expired.key.expires_at:%Y-%m-%d %H:%M} UTC.")
            return None
        self._used.add(stored.id)
        return Caller(stored.key.user_id, stored.key.permissions, stored.id, self._allowance(stored))

    def token_limits(self) -> dict[int, int]:
        """Return the tokens per day of the valid keys with such a limit, by id."""
        return {
            stored.id: limit
            for stored in self._living.values()
            if (limit := stored.key.tokens_per_day) is not None
        }

    def stands(self, caller: Caller) -> bool:
        """True if the caller's key is still valid; without a key, if the user still has one for `chat`."""
        self._drop_expired()
        if not self.closed:
            return True
        return caller.user_id in self._users if caller.key_id is None else caller.key_id in self._ids

    def allowance_of(self, user_id: str, key_id: int | None = None) -> Allowance | None:
        """Return the limits of a request without a key (ticket or MQTT); None for no limits.

        key_id: the valid key whose limits apply; None for those of the user.
        """
        if not self.closed:
            return None
        if key_id is not None and (stored := self._ids.get(key_id)) is not None:
            return self._allowance(stored)
        return Allowance(self._common(user_id, self._rate_per_minute), self._common(user_id, self._streams))

    async def be_fresh(self) -> None:
        """Refresh the copy if it is older than MAX_AGE_S. Raises StorageFailed."""
        now = self._clock()
        if now - self._read_at <= MAX_AGE_S:
            return
        async with self._reading:
            if self._failed_at >= now:
                raise StorageFailed("API keys cannot be checked: the database does not answer.")
            if self._clock() - self._read_at > MAX_AGE_S:
                await self._read()

    async def refresh(self) -> None:
        """Read the keys if any has changed. Raises StorageFailed."""
        async with self._reading:
            await self._read()

    async def stored(self) -> Sequence[StoredKey]:
        """Return all keys of the store, also revoked ones, oldest first. Raises StorageFailed."""
        return await self._store.all()

    async def create(self, key: NewKey, by: Actor) -> StoredKey:
        """Store a new key, and accept it from now on. Raises StorageFailed if it is not stored."""
        created = await self._store.create(key, by)
        await self._refresh_soon()
        return created

    async def revoke(self, key_id: int, by: Actor) -> bool:
        """Revoke a key, and refuse it from now on. Return False if there is no such key or it is revoked
        already. Raises StorageFailed if it is not revoked."""
        revoked = await self._store.revoke(key_id, by)
        await self._refresh_soon()
        return revoked

    async def change(self, key_id: int, change: KeyChange, by: Actor) -> bool:
        """Change the limits of a key from now on. Return False if there is no such key or it is revoked.
        Raises StorageFailed if it is not changed."""
        changed = await self._store.change(key_id, change, by)
        await self._refresh_soon()
        return changed

    async def _refresh_soon(self) -> None:
        """Read the keys now, or if that fails within MAX_AGE_S: the change before it is committed."""
        with suppress(StorageFailed):
            await self.refresh()

    async def note_used(self) -> None:
        """Store the last use of the keys that were used, each at most once in NOTE_USED_S. Raises
        StorageFailed."""
        now = self._clock()
        due = {id for id in self._used if now - self._noted_at.get(id, float("-inf")) >= NOTE_USED_S}
        if due:
            await self._store.note_used(due)
            self._used -= due
            self._noted_at |= dict.fromkeys(due, now)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Refresh after every `sleep` of REFRESH_S seconds until cancelled; a failure is logged once."""

        async def refresh() -> None:
            await self.refresh()
            await self.note_used()

        await keep_fresh(refresh, "API keys cannot be checked", sleep)

    async def _read(self) -> None:
        asked_at = self._clock()
        try:
            census = await self._store.census()
            if census != self._census:
                self._hold(await self._store.all())
                self._census = census
        except StorageFailed:
            self._failed_at = self._clock()  # concurrent calls fail with this one and do not try again
            raise
        if census.made and not self.closed:
            self.closed = True
            log.info("an API key exists: requests need a key from now on")
        self._read_at = asked_at

    def _hold(self, keys: Sequence[StoredKey]) -> None:
        """Hold these keys, apart from the revoked ones."""
        now = self._held_at = self._now()
        valid = [stored for stored in keys if stored.revoked_at is None]
        living = [stored for stored in valid if _expiry(stored) > now]
        self._next_expiry = min(map(_expiry, living), default=float("inf"))
        self._expired = {stored.key.digest: stored for stored in valid if _expiry(stored) <= now}
        self._living = {stored.key.digest: stored for stored in living}
        self._ids = {stored.id: stored for stored in living}
        self._users = frozenset(stored.key.user_id for stored in living if "chat" in stored.key.permissions)

    def _drop_expired(self) -> None:
        if not self._held_at <= self._now() < self._next_expiry:  # before: the clock was set back
            self._hold([*self._living.values(), *self._expired.values()])

    def _allowance(self, stored: StoredKey) -> Allowance:
        return Allowance(
            self._quota(stored, stored.key.rate_per_minute, self._rate_per_minute),
            self._quota(stored, stored.key.streams, self._streams),
            stored.id,
            stored.key.tokens_per_day,
        )

    def _quota(self, stored: StoredKey, own: int | None, common: int) -> Quota:
        # A key with its own limit has its own account: user names contain no space, so the names differ.
        if own is None:
            return self._common(stored.key.user_id, common)
        return Quota(f"key {stored.id}", own, "key", self.gateways)

    def _common(self, user_id: str, limit: int) -> Quota:
        return Quota(user_id, limit, gateways=self.gateways)


def _expiry(stored: StoredKey) -> float:
    """Return seconds since the epoch."""
    return float("inf") if stored.key.expires_at is None else stored.key.expires_at.timestamp()
