"""Makes the link to the broker from the MQTT_* settings, for the gateway and for a worker."""

from typing import Literal, Protocol

from gateway.contract.held_news import HeldNews
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress, Link


class BrokerSettings(Protocol):
    """The settings of the broker's address and the credentials. gateway.settings.Settings implements it."""

    mqtt_broker_host: str
    mqtt_broker_port: int
    mqtt_username: str
    mqtt_password: str
    mqtt_tls: bool
    mqtt_ca_file: str
    mqtt_cert_file: str
    mqtt_key_file: str
    mqtt_protocol: Literal["auto", "5", "3.1.1"]
    mqtt_max_payload: int
    mqtt_subscribe_qos: Literal[0, 1]


def broker_address(settings: BrokerSettings) -> BrokerAddress:
    """Return the address and credentials. Empty settings become None."""
    return BrokerAddress(
        host=settings.mqtt_broker_host,
        port=settings.mqtt_broker_port,
        username=settings.mqtt_username or None,
        password=settings.mqtt_password or None,
        tls=settings.mqtt_tls,
        ca_file=settings.mqtt_ca_file or None,
        cert_file=settings.mqtt_cert_file or None,
        key_file=settings.mqtt_key_file or None,
        protocol=settings.mqtt_protocol,
    )


def configured_link(
    settings: BrokerSettings, client_id: str, *, quiet: bool = False, held: HeldNews | None = None
) -> Link:
    """Return a link that is not connected yet. Raises OSError if a certificate file cannot be read.

    Args:
        client_id: see AiomqttLink.
        quiet: log losses of the connection at DEBUG only.
        held: see AiomqttLink.
    """
    address = broker_address(settings)
    return AiomqttLink(
        address,
        client_id=client_id,
        max_payload=settings.mqtt_max_payload,
        subscribe_qos=settings.mqtt_subscribe_qos,
        quiet=quiet,
        held=held,
    )
