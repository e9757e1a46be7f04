"""The private names of aiomqtt that Connection uses, with public names. No other module may use them.

If one is missing or has other parameters, the link uses PlainConnection, which needs none.
"""

import inspect
import socket
from asyncio import AbstractEventLoop
from typing import Any

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from transports.mqtt.link.paho_internals import Socket

REASONS = {
    "_client": "paho's client: to publish without a task for each message",
    "_loop": "aiomqtt connects in a thread, and callbacks from there must reach the event loop",
    "_connected": "to end the wait for a CONNACK when the broker hangs up, before aiomqtt's deadline",
    "_disconnected": "to end the connection when our own read of the socket fails",
    "_on_connect": "to see the CONNACK's limits: Receive Maximum, Maximum Packet Size, shared subscriptions",
    "_on_subscribe": "to be up before the first messages, which may follow in the same read",
    "_on_message": "to hear messages without a queue and a task",
    "_on_publish": "to see the PUBACK's reason, which aiomqtt drops",
    "_on_socket_open": "to give paho our Wire in place of the socket",
    "_on_socket_register_write": "to write all messages of one loop turn together",
    "_on_socket_unregister_write": "as above: Wire itself watches for room to write",
}


def missing_names(client: object) -> list[str]:
    """Return the names that `client`, an aiomqtt.Client, no longer has or whose parameters have changed."""
    return [f"aiomqtt.Client.{name}" for name in REASONS if not _is_as_we_know_it(client, name)]


def _is_as_we_know_it(client: object, name: str) -> bool:
    ours = vars(HookedClient).get(name)
    try:
        theirs = inspect.signature(getattr(type(client), name)) if ours else getattr(client, name)
    except AttributeError:
        return False
    return ours is None or list(inspect.signature(ours).parameters) == list(theirs.parameters)


class HookedClient(aiomqtt.Client):
    """aiomqtt's client with methods that a subclass overrides to handle the broker's packets."""

    @property
    def paho(self) -> PahoClient:
        return self._client

    @property
    def loop(self) -> AbstractEventLoop:
        return self._loop

    @property
    def let_in(self) -> bool:
        """True when the broker has answered our CONNECT."""
        return self._connected.done()

    def end(self, error: aiomqtt.MqttError) -> None:
        """Make the wait for the CONNACK, or the loop over messages, raise `error`, unless it is over."""
        end = self._disconnected if self.let_in else self._connected
        if not end.done():
            end.set_exception(error)
            end.exception()  # marks it as retrieved: there may be no waiter

    def opened(self, sock: socket.socket) -> Socket | None:
        """Called in aiomqtt's thread on a new TCP connection. Return the socket to use; None to stop."""
        raise NotImplementedError

    def write_wanted(self) -> None:
        """Called when paho has data to write, in aiomqtt's thread until `let_in`."""
        raise NotImplementedError

    def connack_came(self, properties: Properties | None) -> None:
        raise NotImplementedError

    def suback_came(self, codes: list[ReasonCode]) -> None:
        raise NotImplementedError

    def puback_came(self, packet_id: int, code: ReasonCode) -> None:
        raise NotImplementedError

    def message_came(self, message: MQTTMessage) -> None:
        raise NotImplementedError

    def _on_socket_open(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        ours = self.opened(sock)
        if ours is not None:
            super()._on_socket_open(client, userdata, ours)
            self.loop.call_soon_threadsafe(self.reading_may_begin)

    def reading_may_begin(self) -> None:
        """Called when the socket is open and aiomqtt reads from it: start to read in its place."""
        raise NotImplementedError

    def _on_socket_register_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        self.write_wanted()

    def _on_socket_unregister_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        pass

    def _on_connect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self.connack_came(properties)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_subscribe(
        self,
        client: PahoClient,
        userdata: Any,
        mid: int,
        reason_codes: list[ReasonCode],
        properties: Properties | None = None,
    ) -> None:
        self.suback_came(reason_codes)
        super()._on_subscribe(client, userdata, mid, reason_codes, properties)

    def _on_message(self, client: PahoClient, userdata: Any, message: MQTTMessage) -> None:
        self.message_came(message)

    def _on_publish(
        self, client: PahoClient, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        self.puback_came(mid, reason_code)
