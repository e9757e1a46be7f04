"""The Link over aiomqtt and paho: the only file that knows them."""

import asyncio
import logging
import random
import socket
import ssl
from asyncio import Future
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiomqtt
from paho.mqtt.client import MQTT_ERR_QUEUE_SIZE, MQTT_ERR_SUCCESS, ConnectFlags, MQTTMessage
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.contract.errors import Overloaded, TooLarge
from transports.mqtt.frames import DEFAULT_MAX_PAYLOAD
from transports.mqtt.handshake import refusal, speaks_mqtt_5, tls_context
from transports.mqtt.link import BrokerAddress, Envelope, MessageHandler, Receipt, StateHandler, Will
from transports.mqtt.subscriptions import Subscriptions
from transports.mqtt.wire import Wire

log = logging.getLogger(__name__)

ANSWER_S = 5.0
KEEPALIVE_S = 15
FIRST_RETRY_S, LAST_RETRY_S = 0.05, 10.0
SETTLED_S = 5.0
"""A connection that lived shorter counts as one more failure: two clients of one name would push each
other out at full speed."""

IN_FLIGHT = 100
WAITING = 10_000

_NO_SUBSCRIBER = 0x10
_FAILURE = 0x80
_SUCCESS = ReasonCode(PacketTypes.PUBACK)
_NO_PROPERTIES = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]  # paho's own gap


class _Connection(aiomqtt.Client):
    """One connection, used once.

    aiomqtt and paho connect, subscribe, publish and keep alive. The hooks leave to a Wire what costs them
    most, and tell a publish the PUBACK's reason, which aiomqtt drops. They reach into what aiomqtt 2.5 and
    paho 2 keep to themselves: that is why aiomqtt, which pins paho, is pinned below 3.
    """

    def __init__(
        self, link: "AiomqttLink", tls: ssl.SSLContext | None, mqtt_5: bool, will: Will | None
    ) -> None:
        address = link.address
        super().__init__(
            address.host,
            address.port,
            username=address.username,
            password=address.password,
            identifier=link.client_id,
            protocol=aiomqtt.ProtocolVersion.V5 if mqtt_5 else aiomqtt.ProtocolVersion.V311,
            will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
            clean_session=None if mqtt_5 else True,
            timeout=ANSWER_S,
            keepalive=KEEPALIVE_S,
            max_inflight_messages=IN_FLIGHT,
            max_queued_outgoing_messages=WAITING,
            tls_context=tls,
        )
        self._link = link
        self.mqtt_5 = mqtt_5
        self.shares = False
        self._unanswered: dict[int, Future[Receipt]] = {}
        self._wire: Wire
        self._abandoned = False

    def send(self, topic: str, payload: bytes, retain: bool, envelope: Envelope | None) -> Future[Receipt]:
        properties = _properties(envelope) if envelope and self.mqtt_5 else None
        sent = self._client.publish(topic, payload, 1, retain, properties)
        if sent.rc == MQTT_ERR_QUEUE_SIZE:
            raise Overloaded("too many messages wait for the MQTT broker")
        receipt: Future[Receipt] = self._loop.create_future()
        if sent.rc == MQTT_ERR_SUCCESS:
            self._unanswered[sent.mid] = receipt
        else:
            receipt.set_result(Receipt.LOST)
        return receipt

    def abandon(self) -> None:
        """Close what is still open; aiomqtt keeps socket and task when a CONNACK does not come."""
        self._abandoned = True
        self._client._sock_close()
        unanswered, self._unanswered = self._unanswered, {}
        for receipt in unanswered.values():
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
            max_payload=self._link.max_payload,
            on_message=self._link.subscriptions.dispatch,
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
        if not any(map(_is_refusal, reason_codes)):
            self._link.came_up(self)
        super()._on_subscribe(client, userdata, mid, reason_codes, properties)

    def _on_message(self, client: PahoClient, userdata: Any, message: MQTTMessage) -> None:
        # Only QoS 2 comes this way, which we never subscribe to.
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._link.subscriptions.dispatch(topic, bytes(message.payload), message.retain)

    def _taken(self, packet_id: int) -> None:
        # What paho does too, after taking the packet apart at six times the cost.
        if packet_id in self._unanswered:
            self._client._do_on_publish(packet_id, _SUCCESS, _NO_PROPERTIES)

    def _lost(self, why: Exception) -> None:
        self._client._sock_close()
        up = self._connected.done()
        end = self._disconnected if up else self._connected
        if not end.done():
            end.set_exception(aiomqtt.MqttError(str(why) if up else refusal(why, tls=self._link.address.tls)))
            end.exception()  # it counts as seen: nobody may be waiting for it yet, or any more

    def _on_publish(
        self, client: PahoClient, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        receipt = self._unanswered.pop(mid, None)
        if receipt is None:
            return
        if reason_code.value == _NO_SUBSCRIBER:
            _settle(receipt, Receipt.NOBODY)
        elif reason_code.value >= _FAILURE:
            _settle(receipt, Receipt.REFUSED)
        else:
            _settle(receipt, Receipt.TAKEN)


class AiomqttLink:
    """See `Link`. client_id must be stable: under a random one an old will would overtake our new status."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        client_id: str,
        max_payload: int = DEFAULT_MAX_PAYLOAD,
        quiet: bool = False,
    ) -> None:
        """Raises OSError or ssl.SSLError when a certificate file cannot be read. quiet: warns of nothing."""
        self.address = address
        self._client_id = client_id
        self._max_payload = max_payload
        self._loss_level = logging.DEBUG if quiet else logging.WARNING
        self._tls = tls_context(address)
        self.subscriptions = Subscriptions()
        self._watchers: list[StateHandler] = []
        self._connection: _Connection | None = None
        self._away = False
        self._where = f"{address.host}:{address.port}"
        self._mqtt_5 = {"auto": None, "5": True, "3.1.1": False}[address.protocol]

    @property
    def client_id(self) -> str:
        return self._client_id

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def max_payload(self) -> int:
        return self._max_payload

    def subscribe(self, topic_filter: str, handler: MessageHandler, *, group: str | None = None) -> None:
        self.subscriptions.add(topic_filter, handler, group)

    def watch(self, handler: StateHandler) -> None:
        self._watchers.append(handler)

    @asynccontextmanager
    async def running(self, will: Will | None = None) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            keeper = tasks.create_task(self._stay_connected(will))
            try:
                yield
            finally:
                keeper.cancel()

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> Future[Receipt]:
        if len(payload) > self._max_payload:
            raise TooLarge(
                f"{len(payload)} bytes are more than an MQTT message may have ({self._max_payload})"
            )
        if self._connection is None:
            lost: Future[Receipt] = asyncio.get_running_loop().create_future()
            lost.set_result(Receipt.LOST)
            return lost
        return self._connection.send(topic, payload, retain, envelope)

    def came_up(self, connection: _Connection) -> None:
        """Take `connection`, which is granted every subscription, for what is published from now on."""
        self._connection = connection
        version = "5" if connection.mqtt_5 else "3.1.1"
        # As loud as its going was; the first time it is no news.
        level = self._loss_level if self._away else logging.INFO
        log.log(level, "connected by MQTT %s to %s", version, self._where)
        self._away = False
        self._tell(True)

    async def _stay_connected(self, will: Will | None) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                await self._connect_once(will)
            except (aiomqtt.MqttError, OSError, TimeoutError) as exc:
                if not self._away:
                    log.log(self._loss_level, "no MQTT broker at %s: %s", self._where, exc or "silence")
                    self._tell(False)
                self._away = True
            except Exception:
                log.exception("the connection to the MQTT broker at %s failed", self._where)
            failures = 0 if loop.time() - began > SETTLED_S else failures + 1
            longest = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(0.5, 1.0) * longest)

    async def _connect_once(self, will: Will | None) -> None:
        """Connect, and return when that is over; MqttError, OSError or TimeoutError if it never was."""
        mqtt_5 = self._mqtt_5
        if mqtt_5 is None:
            mqtt_5 = await speaks_mqtt_5(self.address, self._tls)
        connection = _Connection(self, self._tls, mqtt_5, will)
        try:
            async with connection:
                if filters := self.subscriptions.filters(shared=connection.shares):
                    _check_granted(filters, await connection.subscribe(filters))
                else:
                    self.came_up(connection)
                _raise_if_cancelled()
                # Nothing comes this way (see Wire); it raises when the broker is lost.
                with suppress(aiomqtt.MqttError):
                    async for _ in connection.messages:
                        pass
                log.warning("lost the MQTT broker at %s", self._where)
                self._away = True
        finally:
            if self._connection is not None:
                self._connection = None
                self._tell(False)
            connection.abandon()

    def _tell(self, connected: bool) -> None:
        for watcher in self._watchers:
            try:
                watcher(connected)
            except Exception:
                log.exception("a watcher of the connection failed")


def _raise_if_cancelled() -> None:
    """Python 3.11's wait_for, in aiomqtt, swallows a cancellation that comes together with the answer."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _settle(receipt: Future[Receipt], value: Receipt) -> None:
    with suppress(asyncio.InvalidStateError):  # whoever waited was cancelled
        receipt.set_result(value)


def _is_refusal(code: ReasonCode | int) -> bool:
    return getattr(code, "value", code) >= _FAILURE


def _check_granted(filters: list[tuple[str, int]], codes: Sequence[ReasonCode | int]) -> None:
    for (topic_filter, _), code in zip(filters, codes, strict=True):
        if _is_refusal(code):
            raise aiomqtt.MqttError(f"the broker does not let us subscribe to {topic_filter}")


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
