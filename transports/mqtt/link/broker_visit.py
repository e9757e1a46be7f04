"""A short connection to a broker that reports each refusal, for an operator's questions."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from transports.mqtt.link.client_options import ANSWER_S, is_refusal
from transports.mqtt.link.link import BrokerAddress, Receipt
from transports.mqtt.link.mqtt_version import CONNECT_S, BrokerSilent
from transports.mqtt.link.tls import tls_context

_NO_SUBSCRIBER = 0x10


class ConnectionRefused(Exception):
    """The broker refused the connection in its CONNACK, for the reason in the text."""


class BrokerLost(Exception):
    """The broker closed the connection."""


@contextmanager
def visiting(address: BrokerAddress, client_id: str, *, mqtt_5: bool) -> Iterator["BrokerVisit"]:
    """Connect, without a will. All calls block: use a thread.

    client_id: must not be that of a running client, which the broker would disconnect. Raises OSError if the
    broker cannot be reached or TLS fails, ConnectionRefused, BrokerLost, and BrokerSilent.
    """
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5 if mqtt_5 else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_S
    if address.username is not None:
        client.username_pw_set(address.username, address.password)
    if (tls := tls_context(address)) is not None:
        client.tls_set_context(tls)
    visit = BrokerVisit(client)
    client.connect(address.host, address.port)
    client.loop_start()
    try:
        visit.await_connack()
        yield visit
    finally:
        client.disconnect()
        client.loop_stop()


class BrokerVisit:
    """One connection, used by one thread.

    Attributes:
        max_packet: largest packet that the broker takes, in bytes; None if it has not said.
    """

    def __init__(self, client: Client) -> None:
        self.max_packet: int | None = None
        self._client = client
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._messages: queue.SimpleQueue[tuple[str, bytes, bool]] = queue.SimpleQueue()
        client.on_connect = self._connected
        client.on_disconnect = self._lost
        client.on_subscribe = self._subscribed
        client.on_publish = self._published
        client.on_message = self._received

    def await_connack(self) -> None:
        code, properties = self._answer()
        if is_refusal(code):
            raise ConnectionRefused(str(code))
        self.max_packet = getattr(properties, "MaximumPacketSize", None)

    def subscribe(self, topic_filter: str) -> bool:
        """Subscribe with QoS 0. Return False if the broker refuses; some grant what they never deliver."""
        self._client.subscribe(topic_filter)
        return not any(map(is_refusal, self._answer()))

    def publish(self, topic: str, payload: bytes) -> Receipt:
        """Publish with QoS 1, not retained. Only some MQTT 5 brokers answer REFUSED."""
        self._client.publish(topic, payload, qos=1)
        code = self._answer()
        if is_refusal(code):
            return Receipt.REFUSED
        return Receipt.NOBODY if code.value == _NO_SUBSCRIBER else Receipt.TAKEN

    def message(self, within_s: float) -> tuple[str, bytes, bool] | None:
        """Return the next message's topic, payload and retain flag; None if none arrives in time."""
        try:
            return self._messages.get(timeout=within_s)
        except queue.Empty:
            return None

    def _answer(self) -> Any:
        try:
            answer = self._answers.get(timeout=ANSWER_S)
        except queue.Empty:
            raise BrokerSilent(f"the broker did not answer within {ANSWER_S:g} s") from None
        if answer is None:
            raise BrokerLost("the broker hung up")
        return answer

    def _connected(
        self, client: Client, data: Any, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._answers.put((code, properties))

    def _lost(
        self,
        client: Client,
        data: Any,
        flags: DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._answers.put(None)

    def _subscribed(
        self,
        client: Client,
        data: Any,
        packet_id: int,
        codes: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        self._answers.put(codes)

    def _published(
        self, client: Client, data: Any, packet_id: int, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._answers.put(code)

    def _received(self, client: Client, data: Any, message: MQTTMessage) -> None:
        self._messages.put((message.topic, bytes(message.payload), message.retain))
