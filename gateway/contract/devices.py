"""Devices that chat over MQTT, as they are stored."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """A registered device. `name` is that of its MQTT topics."""

    name: str
    user_id: str
    created_at: datetime
