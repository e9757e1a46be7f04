"""Devices that chat over MQTT, as they are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.contract.audit import Actor


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """A registered device. `name` is that of its MQTT topics."""

    name: str
    user_id: str
    created_at: datetime


class DeviceRegistry(Protocol):
    """Each method raises StorageFailed if the database does not answer or refuses."""

    async def devices(self) -> Sequence[StoredDevice]:
        """Return all registered devices, ordered by name."""
        ...

    async def add_device(self, name: str, user_id: str, by: Actor | None = None) -> StoredDevice:
        """Register a device, with an entry in the audit log if `by` names the author. Raises Conflict if it
        is registered for another user."""
        ...

    async def remove_device(self, name: str, by: Actor | None = None) -> bool:
        """Remove a device, with an entry in the audit log if `by` names the author. Return False if it does
        not exist."""
        ...
