"""One connection to a broker with aiomqtt and paho, without their most costly steps."""

import asyncio
import socket
import ssl
from asyncio import Future
from collections.abc import Callable
from contextlib import suppress

import aiomqtt
from paho.mqtt.client import MQTT_ERR_QUEUE_SIZE, MQTT_ERR_SUCCESS, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.contract.errors import Overloaded
from gateway.contract.held_news import HeldNews
from transports.mqtt.link import paho_internals
from transports.mqtt.link.aiomqtt_internals import HookedClient
from transports.mqtt.link.batched_socket import Wire
from transports.mqtt.link.broker_limits import BrokerLimits
from transports.mqtt.link.client_options import (
    IN_FLIGHT,
    check_granted,
    client_options,
    is_refusal,
)
from transports.mqtt.link.link import BrokerAddress, Envelope, MessageHandler, Receipt, Will
from transports.mqtt.link.publish_properties import PublishProperties
from transports.mqtt.link.subscriptions import Subscriptions
from transports.mqtt.link.tls import refusal

_NO_SUBSCRIBER = 0x10


class Connection(HookedClient):
    """One connection, used once.

    aiomqtt and paho connect, subscribe, publish and keep alive. A Wire does their most costly steps, and a
    publish gets the PUBACK's reason, which aiomqtt drops. See aiomqtt_internals and paho_internals.
    """

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        *,
        tls: ssl.SSLContext | None,
        mqtt_5: bool,
        will: Will | None,
        retains: bool,
        limits: BrokerLimits,
        on_message: MessageHandler,
        on_up: Callable[["Connection"], None],
        held: HeldNews,
    ) -> None:
        """
        Args:
            retains: False sends nothing retained, because the broker has refused that.
            on_up: called when every subscription is granted, before the first message arrives.
        """
        super().__init__(
            **client_options(address, client_id, tls=tls, mqtt_5=mqtt_5, will=will, retains=retains)
        )
        self.mqtt_5 = mqtt_5
        self.tells_refusals = mqtt_5
        self._paho = self.paho
        self._shares = False
        self._retains = retains
        self._tls = tls is not None
        self._limits = limits
        self._hear = on_message
        self._on_up = on_up
        self._held = held
        self._unanswered: dict[int, tuple[Future[Receipt], int]] = {}
        self._wire: Wire
        self._hung_up = False
        self._abandoned = False

    @property
    def lacks(self) -> list[str]:
        """The features that the broker does not have, as far as it says so."""
        missing = [] if self._shares else ["shared subscriptions"]
        return missing if self._retains else [*missing, "retained messages"]

    async def run(self, subscriptions: Subscriptions) -> None:
        """Connect, subscribe and receive messages; return when the connection is lost.

        Raises MqttError, OSError or TimeoutError if the broker cannot be reached or refuses the connection.
        """
        try:
            async with self:
                if filters := subscriptions.filters(shared=self._shares):
                    check_granted(filters, await self.subscribe(filters))
                else:
                    self._on_up(self)
                raise_if_cancelled()
                # Messages do not arrive here (see Wire); the loop raises when the connection is lost.
                with suppress(aiomqtt.MqttError):
                    async for _ in self.messages:
                        pass
        finally:
            self.abandon()

    def send(self, topic: str, payload: bytes, retain: bool, envelope: Envelope | None) -> Future[Receipt]:
        """Publish. Raises TooLarge beyond the broker's limit, Overloaded if too many messages wait for it."""
        properties = PublishProperties(envelope) if envelope and self.mqtt_5 else None
        self._limits.check(topic, payload)
        sent = self._paho.publish(topic, payload, 1, retain and self._retains, properties)
        if sent.rc == MQTT_ERR_QUEUE_SIZE:
            raise Overloaded("too many messages wait for the MQTT broker")
        receipt: Future[Receipt] = self.loop.create_future()
        if sent.rc == MQTT_ERR_SUCCESS:
            self._unanswered[sent.mid] = receipt, len(topic) + len(payload)
        else:
            receipt.set_result(Receipt.LOST)
        return receipt

    def abandon(self) -> None:
        """Close the socket and end the task, which aiomqtt keeps if the CONNACK does not arrive."""
        self._abandoned = True
        paho_internals.close_socket(self._paho)
        unanswered, self._unanswered = self._unanswered, {}
        if self._hung_up:
            self._limits.hung_up_on(size for _, size in unanswered.values())
        for receipt, _ in unanswered.values():
            settle(receipt, Receipt.LOST)

    def opened(self, sock: socket.socket) -> Wire | None:
        # aiomqtt connects in a thread, which goes on after its caller is cancelled.
        if self._abandoned:
            paho_internals.replace_socket(self._paho, None)
            sock.close()
            return None
        # Nagle and delayed acknowledgements would hold a burst to 1,149 messages a second.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire = Wire(
            sock,
            self.loop,
            self._paho,
            mqtt_5=self.mqtt_5,
            max_payload=self._limits.max_payload,
            on_message=self._hear,
            on_taken=self._taken,
            on_lost=self._lost,
            held=self._held,
        )
        paho_internals.replace_socket(self._paho, self._wire)
        return self._wire

    def reading_may_begin(self) -> None:
        self._wire.start()

    def write_wanted(self) -> None:
        if self.let_in:
            self._wire.write_soon()
        else:
            self.loop.call_soon_threadsafe(self._wire.write_soon)

    def connack_came(self, properties: Properties | None) -> None:
        # paho would exceed the broker's Receive Maximum, and the broker would disconnect.
        broker_takes = getattr(properties, "ReceiveMaximum", IN_FLIGHT)
        paho_internals.limit_in_flight(self._paho, min(IN_FLIGHT, broker_takes))
        self._limits.connected(getattr(properties, "MaximumPacketSize", None))
        # Absent means available. Source: MQTT 5.0, 3.2.2.3.
        self._shares = self.mqtt_5 and getattr(properties, "SharedSubscriptionAvailable", 1) == 1
        self._retains = self._retains and getattr(properties, "RetainAvailable", 1) == 1

    def suback_came(self, codes: list[ReasonCode]) -> None:
        # Here, not where aiomqtt waits for it: the first messages may follow in the same read.
        if not any(map(is_refusal, codes)):
            self._on_up(self)

    def message_came(self, message: MQTTMessage) -> None:
        # Only QoS 2 arrives here, which we never subscribe to.
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._hear(topic, bytes(message.payload), message.retain)

    def _taken(self, packet_id: int) -> None:
        if packet_id in self._unanswered:
            paho_internals.acknowledge(self._paho, packet_id)
            self.puback_came(packet_id, paho_internals.SUCCESS)

    def _lost(self, why: Exception) -> None:
        self._hung_up = isinstance(why, ConnectionError)
        paho_internals.close_socket(self._paho)
        self.end(aiomqtt.MqttError(str(why) if self.let_in else refusal(why, tls=self._tls)))

    def puback_came(self, packet_id: int, code: ReasonCode) -> None:
        receipt, size = self._unanswered.pop(packet_id, (None, 0))
        if receipt is None:
            return
        self._limits.took(size)
        if code.value == _NO_SUBSCRIBER:
            settle(receipt, Receipt.NOBODY)
        elif is_refusal(code):
            settle(receipt, Receipt.REFUSED)
        else:
            settle(receipt, Receipt.TAKEN)


def settle(receipt: Future[Receipt], value: Receipt) -> None:
    with suppress(asyncio.InvalidStateError):  # its waiter was cancelled
        receipt.set_result(value)


def raise_if_cancelled() -> None:
    """Raise a swallowed cancellation: Python 3.11's wait_for, in aiomqtt, loses one that meets its result."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
