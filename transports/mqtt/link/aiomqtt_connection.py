"""One connection to a broker, over aiomqtt and paho: only this file and aiomqtt_link.py know them."""

import asyncio
import socket
import ssl
from asyncio import Future
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiomqtt
from paho.mqtt.client import MQTT_ERR_QUEUE_SIZE, MQTT_ERR_SUCCESS, ConnectFlags, MQTTMessage
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.contract.errors import Overloaded
from transports.mqtt.link.batched_socket import Wire
from transports.mqtt.link.broker_limits import BrokerLimits
from transports.mqtt.link.handshake import refusal
from transports.mqtt.link.link import BrokerAddress, Envelope, MessageHandler, Receipt, Will

ANSWER_S = 5.0
KEEPALIVE_S = 15
IN_FLIGHT = 100
WAITING = 10_000

_NO_SUBSCRIBER = 0x10
_FAILURE = 0x80
_SUCCESS = ReasonCode(PacketTypes.PUBACK)
_NO_PROPERTIES = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]  # paho's own gap


class Connection(aiomqtt.Client):
    """One connection, used once.

    aiomqtt and paho connect, subscribe, publish and keep alive. The hooks leave to a Wire what costs them
    most, and tell a publish the PUBACK's reason, which aiomqtt drops. They reach into what aiomqtt 2.5 and
    paho 2 keep to themselves: that is why aiomqtt, which pins paho, is pinned below 3.
    """

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        *,
        tls: ssl.SSLContext | None,
        mqtt_5: bool,
        will: Will | None,
        limits: BrokerLimits,
        on_message: MessageHandler,
        on_up: Callable[["Connection"], None],
    ) -> None:
        """on_up: called when every subscription is granted, before the first message comes."""
        super().__init__(
            address.host,
            address.port,
            username=address.username,
            password=address.password,
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5 if mqtt_5 else aiomqtt.ProtocolVersion.V311,
            will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
            clean_session=None if mqtt_5 else True,
            timeout=ANSWER_S,
            keepalive=KEEPALIVE_S,
            max_inflight_messages=IN_FLIGHT,
            max_queued_outgoing_messages=WAITING,
            tls_context=tls,
        )
        self.mqtt_5 = mqtt_5
        self.shares = False
        self._tls = tls is not None
        self._limits = limits
        self._hear = on_message
        self._on_up = on_up
        self._unanswered: dict[int, tuple[Future[Receipt], int]] = {}
        self._wire: Wire
        self._hung_up = False
        self._abandoned = False

    def send(self, topic: str, payload: bytes, retain: bool, envelope: Envelope | None) -> Future[Receipt]:
        """Raises TooLarge for what the broker does not take, Overloaded when too much waits for it."""
        properties = _properties(envelope) if envelope and self.mqtt_5 else None
        self._limits.check(topic, payload)
        sent = self._client.publish(topic, payload, 1, retain, properties)
        if sent.rc == MQTT_ERR_QUEUE_SIZE:
            raise Overloaded("too many messages wait for the MQTT broker")
        receipt: Future[Receipt] = self._loop.create_future()
        if sent.rc == MQTT_ERR_SUCCESS:
            self._unanswered[sent.mid] = receipt, len(topic) + len(payload)
        else:
            receipt.set_result(Receipt.LOST)
        return receipt

    def abandon(self) -> None:
        """Close what is still open; aiomqtt keeps socket and task when a CONNACK does not come."""
        self._abandoned = True
        self._client._sock_close()
        unanswered, self._unanswered = self._unanswered, {}
        if self._hung_up:
            self._limits.hung_up_on(size for _, size in unanswered.values())
        for receipt, _ in unanswered.values():
            _settle(receipt, Receipt.LOST)

    def _on_socket_open(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        # aiomqtt connects in a thread, which goes on when nobody waits for it any more.
        if self._abandoned:
            client._sock = None
            sock.close()
            return
        # Nagle and delayed acknowledgements would hold a burst to 1,149 messages a second.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire = Wire(
            sock,
            self._loop,
            client,
            mqtt_5=self.mqtt_5,
            max_payload=self._limits.max_payload,
            on_message=self._hear,
            on_taken=self._taken,
            on_lost=self._lost,
        )
        client._sock = self._wire  # type: ignore[assignment]  # it need not be set to non-blocking again
        super()._on_socket_open(client, userdata, sock)
        self._loop.call_soon_threadsafe(self._wire.start)

    def _on_socket_register_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        if self._connected.done():
            self._wire.write_soon()
        else:
            self._loop.call_soon_threadsafe(self._wire.write_soon)

    def _on_socket_unregister_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        pass  # the wire sees for itself

    def _on_connect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        # paho would run over a broker's Receive Maximum, and the broker would hang up.
        broker_takes = getattr(properties, "ReceiveMaximum", IN_FLIGHT)
        client._max_inflight_messages = min(IN_FLIGHT, broker_takes)
        self._limits.connected(getattr(properties, "MaximumPacketSize", None))
        # Absent means that it is available. Source: MQTT 5.0, 3.2.2.3.13.
        self.shares = self.mqtt_5 and getattr(properties, "SharedSubscriptionAvailable", 1) == 1
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_subscribe(
        self,
        client: PahoClient,
        userdata: Any,
        mid: int,
        reason_codes: list[ReasonCode],
        properties: Properties | None = None,
    ) -> None:
        # Here and not where aiomqtt waits for it: the first messages may follow in the same read.
        if not any(map(is_refusal, reason_codes)):
            self._on_up(self)
        super()._on_subscribe(client, userdata, mid, reason_codes, properties)

    def _on_message(self, client: PahoClient, userdata: Any, message: MQTTMessage) -> None:
        # Only QoS 2 comes this way, which we never subscribe to.
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._hear(topic, bytes(message.payload), message.retain)

    def _taken(self, packet_id: int) -> None:
        # What paho does too, after taking the packet apart at six times the cost.
        if packet_id in self._unanswered:
            self._client._do_on_publish(packet_id, _SUCCESS, _NO_PROPERTIES)

    def _lost(self, why: Exception) -> None:
        self._hung_up = isinstance(why, ConnectionError)
        self._client._sock_close()
        up = self._connected.done()
        end = self._disconnected if up else self._connected
        if not end.done():
            end.set_exception(aiomqtt.MqttError(str(why) if up else refusal(why, tls=self._tls)))
            end.exception()  # it counts as seen: nobody may be waiting for it yet, or any more

    def _on_publish(
        self, client: PahoClient, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        receipt, size = self._unanswered.pop(mid, (None, 0))
        if receipt is None:
            return
        self._limits.took(size)
        if reason_code.value == _NO_SUBSCRIBER:
            _settle(receipt, Receipt.NOBODY)
        elif reason_code.value >= _FAILURE:
            _settle(receipt, Receipt.REFUSED)
        else:
            _settle(receipt, Receipt.TAKEN)


def _settle(receipt: Future[Receipt], value: Receipt) -> None:
    with suppress(asyncio.InvalidStateError):  # whoever waited was cancelled
        receipt.set_result(value)


def is_refusal(code: ReasonCode | int) -> bool:
    return getattr(code, "value", code) >= _FAILURE


def _properties(envelope: Envelope) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own gap
    properties.ContentType = "application/json"
    properties.MessageExpiryInterval = max(1, round(envelope.expiry_s))
    if envelope.response_topic is not None:
        properties.ResponseTopic = envelope.response_topic
    if envelope.correlation is not None:
        properties.CorrelationData = envelope.correlation.encode()
    if envelope.trace is not None:
        properties.UserProperty = ("traceparent", envelope.trace)
    return properties
