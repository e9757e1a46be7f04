"""The connection to the broker that the settings describe, for the gateway and for a worker."""

from gateway.settings import Settings, SettingsError
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress, Link


def broker_link(settings: Settings, client_id: str, *, quiet: bool = False) -> Link:
    """Not connected yet; SettingsError if a certificate file cannot be read. quiet: see AiomqttLink."""
    address = BrokerAddress(
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
    try:
        return AiomqttLink(address, client_id=client_id, max_payload=settings.mqtt_max_payload, quiet=quiet)
    except OSError as error:  # ssl.SSLError is one too
        raise SettingsError(
            f"MQTT_CA_FILE, MQTT_CERT_FILE and MQTT_KEY_FILE cannot be used: {error}"
        ) from error


def forbidden_name(settings: Settings, setting: str, name: str) -> str:
    """The error text for a broker that does not let us publish under our name."""
    return (
        f"the MQTT broker does not let MQTT_USERNAME={settings.mqtt_username or '(none)'} publish as "
        f"{setting}={name}: give both the same name, and let the broker's ACL allow it"
    )
