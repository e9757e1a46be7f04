"""Sends one device the events of its rooms."""

from gateway.contract.room_events import RoomEvent
from transports.mqtt.devices.bounded_sender import BoundedSender
from transports.mqtt.link.link import Link
from transports.mqtt.protocol.room_frames import encode_room_event


class RoomSender:
    """Publishes at once. A frame for which there is no place is dropped: the room does not wait."""

    def __init__(self, link: Link, topic: str) -> None:
        self._topic = topic
        self._sender = BoundedSender(link)

    def send(self, event: RoomEvent) -> int:
        """Send one event. Return the number of its frames that were dropped."""
        payloads = event.encoded(encode_room_event)
        return sum(not self._sender.send(self._topic, payload) for payload in payloads)
