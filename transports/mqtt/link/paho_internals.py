"""The private names of paho-mqtt that Connection uses. No other module may use them.

If one is missing, the link uses PlainConnection, which needs none.
"""

from typing import Protocol

from paho.mqtt.client import Client
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

REASONS = {
    "_sock": "to give the client our Wire as its socket: one read and one write for many messages",
    "_sock_close": "to close the connection after a broken read, which happens outside of loop_read",
    "_max_inflight_messages": "to obey a broker's Receive Maximum; the public setter refuses once connected",
    "_out_messages": "to take a PUBACK that Wire has read, without loop_read",
    "_inflight_messages": "to take a PUBACK",
    "_update_inflight": "to send a message that waited for a PUBACK",
}

SUCCESS = ReasonCode(PacketTypes.PUBACK)


class Socket(Protocol):
    """The methods that paho calls on its socket."""

    def recv(self, buffer_size: int) -> bytes: ...

    def send(self, buffer: bytes | bytearray) -> int: ...

    def close(self) -> None: ...

    def fileno(self) -> int: ...


def missing_names(client: object) -> list[str]:
    """Return the names that paho's client no longer has."""
    return [f"paho.mqtt.client.Client.{name}" for name in REASONS if not hasattr(client, name)]


def replace_socket(client: Client, sock: Socket | None) -> None:
    """Put `sock` in the place of the client's socket, which stays open."""
    client._sock = sock  # type: ignore[assignment]  # paho no longer calls its setblocking


def close_socket(client: Client) -> None:
    client._sock_close()


def limit_in_flight(client: Client, messages: int) -> None:
    """Set the maximum number of unacknowledged messages."""
    client._max_inflight_messages = messages


def acknowledge(client: Client, packet_id: int) -> None:
    """Do what paho does at the PUBACK of an unacknowledged message, but for its callback. paho would look
    through all unacknowledged ones, also if none waits to be sent."""
    del client._out_messages[packet_id]
    client._inflight_messages -= 1
    if client._inflight_messages < len(client._out_messages):
        client._update_inflight()
