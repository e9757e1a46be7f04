"""API keys as they are stored, by digest, never the key itself; and the interface of their store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from gateway.contract.audit import Actor
from gateway.contract.exchanges import Charge

Permission = Literal["chat", "admin", "metrics"]
PERMISSIONS: tuple[Permission, ...] = ("chat", "admin", "metrics")
USER_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}"
"""The name of a user, as a whole."""

MAX_NAME_CHARS = 120
MAX_RATE_PER_MINUTE = 1_000_000
MAX_STREAMS = 100_000
MAX_TOKENS_PER_DAY = 10**12
ALL_PERMISSIONS: frozenset[Permission] = frozenset(PERMISSIONS)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key.

    Attributes:
        digest: SHA-256 of the key, in hex.
        prefix: the key's first characters, shown to people to identify it.
        user_id: the user of requests with this key.
        name: its purpose, chosen by the administrator.
        permissions: the endpoints it may use.
        rate_per_minute: requests per minute of this key; None for the setting's limit per user.
        streams: simultaneous replies of this key; None for the setting's limit per user.
        tokens_per_day: tokens of its replies on a day in UTC; None for no limit.
        expires_at: the time from which it is refused; None for never.
    """

    digest: str
    prefix: str
    user_id: str
    name: str = ""
    permissions: frozenset[Permission] = frozenset({"chat"})
    rate_per_minute: int | None = None
    streams: int | None = None
    tokens_per_day: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TokensOfDay:
    """Tokens of the replies of one key that ended on one day, in UTC."""

    day: date
    tokens: int


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A stored key. Revoked keys are never deleted.

    Attributes:
        last_used_at: accurate to about a minute; None if the key was never used.
        used: on the latest day with a reply; None if there was none.
    """

    id: int
    key: NewKey
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    used: TokensOfDay | None = None

    def tokens_on(self, day: date) -> int:
        """Return the tokens of its replies that ended on this day, today or later."""
        return self.used.tokens if self.used is not None and self.used.day >= day else 0


@dataclass(frozen=True, slots=True)
class KeyChange:
    """New limits of a key; None removes a limit, "unchanged" leaves it as it is."""

    tokens_per_day: int | Literal["unchanged"] | None = "unchanged"
    expires_at: datetime | Literal["unchanged"] | None = "unchanged"


@dataclass(frozen=True, slots=True)
class KeyCensus:
    """Numbers of keys ever created and revoked, and of changes: as long as all are equal, no key has
    changed."""

    made: int
    revoked: int
    changed: int = 0


class KeyStore(Protocol):
    """Each method raises StorageFailed if the database does not answer or refuses. When it returns, its
    change is committed, with an entry in the audit log if `by` names its author."""

    async def census(self) -> KeyCensus: ...

    async def all(self) -> Sequence[StoredKey]:
        """Return all keys, also revoked ones, oldest first."""
        ...

    async def create(self, key: NewKey, by: Actor | None = None) -> StoredKey: ...

    async def revoke(self, key_id: int, by: Actor | None = None) -> bool:
        """Revoke a key; False if there is no such key or it is revoked already."""
        ...

    async def change(self, key_id: int, change: KeyChange, by: Actor | None = None) -> bool:
        """Change the limits of a key; False if there is no such key or it is revoked."""
        ...

    async def used_on(self, day: date, key_id: int | None = None) -> Mapping[int, int]:
        """Return the tokens of replies that ended on `day`, today, by key id; keys without any are absent.

        key_id: only this key; None for all keys with tokens_per_day.
        """
        ...

    async def charge(self, charge: Charge) -> None:
        """Count tokens of today. Those of stored replies are counted with their end."""
        ...

    async def note_used(self, key_ids: Collection[int]) -> None:
        """Set last_used_at of these keys to now."""
        ...
