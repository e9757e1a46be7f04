"""Replies that a device shows while somebody reads them over HTTP."""

from gateway.contract.errors import NotFound
from gateway.contract.ingress import Ingress
from gateway.core.devices import DeviceOwners
from gateway.core.run_handle import live_reply
from gateway.core.runs import Runs


class Mirrors:
    """ingress None: no device is known."""

    def __init__(self, runs: Runs, owners: DeviceOwners, ingress: Ingress | None) -> None:
        self._runs = runs
        self._owners = owners
        self._ingress = ingress

    async def check(self, user_id: str, device: str) -> None:
        """NotFound for a device that is unknown or somebody else's."""
        owner = None
        if self._ingress is not None:
            owner = await self._owners.owner_of(device, heard=self._ingress.has_heard(device))
        if owner != user_id:
            raise NotFound(f"No such device: {device}.")

    def show(self, device: str, stream_id: str, user_id: str) -> None:
        """Let the device hear a reply that is in the making."""
        reply = live_reply(self._runs, stream_id, user_id)
        if reply is not None and self._ingress is not None:
            self._ingress.mirror(device, reply)
