"""Mirrors replies to a device while a client reads them over HTTP."""

from typing import Literal

from gateway.contract.errors import NotFound
from gateway.contract.ingress import Ingress
from gateway.core.device_owners import DeviceOwners
from gateway.core.run_handle import live_reply
from gateway.core.runs import Runs

Presence = Literal["connected", "away", "unknown"]


class Mirrors:
    """Sends replies to devices. `ingress` is None if MQTT is off; then no device exists."""

    def __init__(self, runs: Runs, owners: DeviceOwners, ingress: Ingress | None) -> None:
        self._runs = runs
        self._owners = owners
        self._ingress = ingress

    def presence(self, device: str) -> Presence:
        """Return whether the device is connected; "unknown" if this gateway has not heard it."""
        if self._ingress is None or not self._ingress.has_heard(device):
            return "unknown"
        return "away" if self._ingress.is_away(device) else "connected"

    async def check(self, user_id: str, device: str) -> None:
        """Raise NotFound if the device is unknown or belongs to another user."""
        owner = None
        if self._ingress is not None:
            owner = await self._owners.owner_of(device, heard=self._ingress.has_heard(device))
        if owner != user_id:
            raise NotFound(f"No such device: {device}.")

    def show(self, device: str, stream_id: str, user_id: str) -> None:
        """Send a running reply to the device."""
        reply = live_reply(self._runs, stream_id, user_id)
        if reply is not None and self._ingress is not None:
            self._ingress.mirror(device, reply)
