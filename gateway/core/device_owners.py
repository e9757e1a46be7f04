"""Owners of devices: the user of a registered device, or of any device in open mode."""

from collections.abc import Callable

from gateway.contract.store import MessageStore


class DeviceOwners:
    """Finds the owner of a device.

    Args:
        store: the registered devices.
        open_user: owner of all devices that are not registered, while there are no API keys.
        keys_exist: returns True once an API key was created.
    """

    def __init__(self, store: MessageStore, *, open_user: str, keys_exist: Callable[[], bool]) -> None:
        self._store = store
        self._open_user = open_user
        self._keys_exist = keys_exist

    async def owner_of(self, device: str, *, heard: bool) -> str | None:
        """Return the user id of the device's owner; None if it has none.

        heard: True if the device has sent a message; without API keys, such a device belongs to `open_user`.
        """
        registered = await self._store.device(device)
        if registered is not None:
            return registered.user_id
        return self._open_user if heard and not self._keys_exist() else None
