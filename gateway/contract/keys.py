"""API keys: what is kept of each, never the key itself, and the seam to whatever keeps it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Permission = Literal["chat", "admin", "metrics"]
PERMISSIONS: tuple[Permission, ...] = ("chat", "admin", "metrics")
ALL_PERMISSIONS: frozenset[Permission] = frozenset(PERMISSIONS)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just drawn.

    digest: its SHA-256 in hex. prefix: its first characters, by which people tell keys apart. name: what it
    is for. rate_per_minute, streams: limits of its own, in place of the settings'.
    """

    digest: str
    prefix: str
    user_id: str
    name: str = ""
    permissions: frozenset[Permission] = frozenset({"chat"})
    rate_per_minute: int | None = None
    streams: int | None = None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """last_used_at: right to about a minute; None while it never was. A revoked key is kept for good."""

    id: int
    key: NewKey
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyCensus:
    """How many keys were ever made, and how many of them are revoked; only ever grows."""

    made: int
    revoked: int


class KeyStore(Protocol):
    """Raises StorageFailed when the database does not answer or refuses; whatever returned is committed."""

    async def census(self) -> KeyCensus: ...

    async def all(self) -> Sequence[StoredKey]:
        """The oldest first, revoked ones too."""
        ...

    async def create(self, key: NewKey) -> StoredKey: ...

    async def revoke(self, key_id: int) -> bool:
        """Whether there was such a key that was not revoked yet."""
        ...

    async def note_used(self, key_ids: Collection[int]) -> None:
        """These keys were used just now."""
        ...
