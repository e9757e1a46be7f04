"""The audit log: the changes that administrators made, and the interface of its store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change.

    Attributes:
        name: the user of the API key; for a command, the user of the operating system.
        source: the client's address, or `command line`.
        key_id: the API key; None without one.
    """

    name: str
    source: str
    key_id: int | None = None

    def __str__(self) -> str:
        key = "" if self.key_id is None else f" (key {self.key_id})"
        return f"{self.name}{key} from {self.source}"


@dataclass(frozen=True, slots=True)
class Change:
    """One change. It contains no secrets.

    Attributes:
        action: kind of thing and verb, such as `mode.switch` or `key.revoke`.
        subject: the thing that was changed, by the name that people use; empty: the store's outcome names it.
        detail: further values, as JSON.
    """

    actor: Actor
    action: str
    subject: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredChange:
    id: int
    at: datetime
    change: Change


class AuditLog(Protocol):
    """Each method raises StorageFailed if the database does not answer or refuses."""

    async def record(self, change: Change) -> None:
        """Store a change that is not a change of the database. Return when it is committed."""
        ...

    async def changes(self, *, before: int | None = None, limit: int = 100) -> Sequence[StoredChange]:
        """Return changes with ids less than `before`, the latest first, at most `limit`."""
        ...
