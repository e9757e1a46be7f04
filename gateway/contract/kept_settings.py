"""Settings that administrators change while the gateway runs, and the interface of their store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.contract.audit import Actor, Change


@dataclass(frozen=True, slots=True)
class KeptSetting:
    """One setting with its latest author.

    Attributes:
        name: `mode`, or `worker/NAME`.
        value: as JSON; its owner in `core` defines the members.
    """

    name: str
    value: Mapping[str, Any]
    set_by: Actor
    set_at: datetime


class KeptSettings(Protocol):
    """Each method raises StorageFailed if the database does not answer or refuses. Each change is committed
    together with its entry in the audit log."""

    async def all(self) -> Sequence[KeptSetting]:
        """Return all settings, ordered by name."""
        ...

    async def put(self, name: str, value: Mapping[str, Any], change: Change) -> KeptSetting:
        """Store a setting in place of an earlier value."""
        ...

    async def remove(self, name: str, change: Change) -> bool:
        """Remove a setting. Return False, without a change, if there is none."""
        ...
