"""The known devices, with their connection state, open chats and mirrored replies."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from gateway.contract.ingress import DeviceWatch
from transports.mqtt.devices.device_chat import OpenChat
from transports.mqtt.devices.reply_delivery import ReplyDelivery
from transports.mqtt.devices.room_sender import RoomSender
from transports.mqtt.protocol.frames import Status

MAX_KNOWN = 10_000


@dataclass(eq=False, slots=True)
class Device:
    """One device. away: its latest status, or its will, was `lost`. chats: unanswered chats by their ids.
    mirrors: mirrored replies by their stream ids. rooms: sends it the events of its rooms; None before the
    first."""

    name: str
    incarnation: int = 0
    away: bool = False
    chats: dict[str, OpenChat] = field(default_factory=dict)
    mirrors: dict[str, ReplyDelivery] = field(default_factory=dict)
    rooms: RoomSender | None = None

    @property
    def deliveries(self) -> Iterator[ReplyDelivery]:
        """Return all replies that are being sent to it."""
        return chain((chat.delivery for chat in self.chats.values()), self.mirrors.values())


class KnownDevices:
    """All known devices. Beyond a limit the one with the longest silence is dropped, unless a reply is being
    sent to it. A device without a status counts as connected.

    Attributes:
        watch: None until somebody wants to know.
    """

    def __init__(self) -> None:
        self._devices: OrderedDict[str, Device] = OrderedDict()
        self.watch: DeviceWatch | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._devices

    def is_away(self, name: str) -> bool:
        device = self._devices.get(name)
        return device is not None and device.away

    def get(self, name: str) -> Device | None:
        return self._devices.get(name)

    def hear(self, name: str) -> Device:
        """Return the device of this name, which has just sent a message."""
        device = self._devices.setdefault(name, Device(name))
        self._devices.move_to_end(name)
        if len(self._devices) > MAX_KNOWN:
            idle = (name for name, known in self._devices.items() if not (known.chats or known.mirrors))
            if (forgotten := next(idle, None)) is not None:
                del self._devices[forgotten]
                self._went(forgotten)
        return device

    def chat(self, name: str, id: str) -> OpenChat | None:
        device = self._devices.get(name)
        return None if device is None else device.chats.get(id)

    def take(self, name: str, status: Status) -> None:
        """Take one status. A `lost` of an earlier incarnation is ignored."""
        device = self.hear(name)
        if status.state != "lost":
            device.incarnation = status.incarnation
            self.came_back(device)
            self._came(device)
        elif not 0 < status.incarnation < device.incarnation:
            device.away = True
            for delivery in device.deliveries:
                delivery.leave()
            self._went(name)

    def came_back(self, device: Device) -> None:
        if device.away:
            device.away = False
            for delivery in device.deliveries:
                delivery.come_back()

    def connection_changed(self, connected: bool) -> None:
        """Mark all devices as unreachable without a broker. After a loss their known states are outdated."""
        for device in self._devices.values():
            device.away = False
            for delivery in device.deliveries:
                if connected:
                    delivery.come_back()
                else:
                    delivery.leave()
            if connected:
                self._came(device)
            else:
                self._went(device.name)

    def chatted(self, device: Device) -> None:
        """The device has sent a chat, which other gateways did not get."""
        self.came_back(device)
        self._came(device, only_here=True)

    def _came(self, device: Device, *, only_here: bool = False) -> None:
        if self.watch is not None:
            self.watch.came(device.name, only_here=only_here)

    def _went(self, name: str) -> None:
        if self.watch is not None:
            self.watch.went(name)
