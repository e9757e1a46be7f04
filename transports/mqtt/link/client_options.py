"""Arguments of aiomqtt's client and properties of its messages, for Connection and PlainConnection."""

import ssl
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from transports.mqtt.link.link import BrokerAddress, Envelope, Will

ANSWER_S = 5.0
KEEPALIVE_S = 15
IN_FLIGHT = 100
WAITING = 10_000

_FAILURE = 0x80
_NO_RETAINED = 0x9A


def client_options(
    address: BrokerAddress,
    client_id: str,
    *,
    tls: ssl.SSLContext | None,
    mqtt_5: bool,
    will: Will | None,
    retains: bool,
) -> dict[str, Any]:
    """Return the keyword arguments of aiomqtt.Client. retains: the broker keeps retained messages."""
    return {
        "hostname": address.host,
        "port": address.port,
        "username": address.username,
        "password": address.password,
        "identifier": client_id,
        "protocol": aiomqtt.ProtocolVersion.V5 if mqtt_5 else aiomqtt.ProtocolVersion.V311,
        "will": aiomqtt.Will(will.topic, will.payload, qos=1, retain=retains) if will else None,
        "clean_session": None if mqtt_5 else True,
        "timeout": ANSWER_S,
        "keepalive": KEEPALIVE_S,
        "max_inflight_messages": IN_FLIGHT,
        "max_queued_outgoing_messages": WAITING,
        "tls_context": tls,
    }


def properties_of(envelope: Envelope) -> Properties:
    """Return the envelope as the properties of an MQTT 5 PUBLISH."""
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


def refuses_retained(error: Exception) -> bool:
    """True if the broker refused a connection for its retained will. Source: MQTT 5.0, 3.2.2.2."""
    return isinstance(error, aiomqtt.MqttCodeError) and getattr(error.rc, "value", error.rc) == _NO_RETAINED


def is_refusal(code: ReasonCode | int) -> bool:
    """True for a reason code by which the broker refuses a request."""
    return getattr(code, "value", code) >= _FAILURE


def check_granted(filters: list[tuple[str, int]], codes: Any) -> None:
    """Raise MqttError if the broker did not grant one of the subscriptions."""
    for (topic_filter, _), code in zip(filters, codes, strict=True):
        if is_refusal(code):
            raise aiomqtt.MqttError(f"the broker does not let us subscribe to {topic_filter}")
