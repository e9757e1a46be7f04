"""Which devices have been heard, which of them are away, and what they wait for."""

from collections import OrderedDict
from dataclasses import dataclass, field

from transports.mqtt.device_chat import OpenChat
from transports.mqtt.frames import Status

MAX_KNOWN = 10_000


@dataclass(eq=False, slots=True)
class Device:
    """away: its last word, or its will, was `lost`. chats: that are not answered yet, by the device's ids."""

    name: str
    incarnation: int = 0
    away: bool = False
    chats: dict[str, OpenChat] = field(default_factory=dict)


class KnownDevices:
    """All that were heard, except the longest silent of too many. A device that tells no status is there.

    There must never be MAX_KNOWN open chats.
    """

    def __init__(self) -> None:
        self._devices: OrderedDict[str, Device] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._devices

    def hear(self, name: str) -> Device:
        """The device of this name, which has said something just now."""
        device = self._devices.setdefault(name, Device(name))
        self._devices.move_to_end(name)
        if len(self._devices) > MAX_KNOWN:
            del self._devices[next(name for name, silent in self._devices.items() if not silent.chats)]
        return device

    def chat(self, name: str, id: str) -> OpenChat | None:
        device = self._devices.get(name)
        return None if device is None else device.chats.get(id)

    def take(self, name: str, status: Status) -> None:
        """Learn one status; a `lost` of an earlier life is ignored."""
        device = self.hear(name)
        if status.state != "lost":
            device.incarnation = status.incarnation
            self.came_back(device)
        elif not 0 < status.incarnation < device.incarnation:
            device.away = True
            for chat in device.chats.values():
                chat.leave()

    def came_back(self, device: Device) -> None:
        if device.away:
            device.away = False
            for chat in device.chats.values():
                chat.come_back()

    def connection_changed(self, connected: bool) -> None:
        """Without a broker nobody can be reached, and what we knew of who is away is worth nothing."""
        for device in self._devices.values():
            device.away = False
            for chat in device.chats.values():
                if connected:
                    chat.come_back()
                else:
                    chat.leave()
