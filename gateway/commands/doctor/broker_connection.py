"""Connects to the broker of the settings, under another client id than the gateway's."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from secrets import token_hex
from typing import TypeVar

from gateway.commands.doctor.findings import Finding, failure
from gateway.contract.host_ports import address_of
from gateway.settings import Settings
from transports.mqtt.link.broker_visit import (
    BrokerLost,
    BrokerVisit,
    ConnectionRefused,
    visiting,
)
from transports.mqtt.link.configured_link import broker_address
from transports.mqtt.link.mqtt_version import BrokerSilent, speaks_mqtt_5
from transports.mqtt.link.tls import tls_context

R = TypeVar("R")


class NoVisit(Exception):
    """The broker cannot be used. The finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.detail)
        self.finding = finding


async def visit_broker(settings: Settings, work: Callable[[BrokerVisit], R]) -> R:
    """Run `work` on a connection, in a thread. Raises NoVisit."""
    address = broker_address(settings)

    def whole(mqtt_5: bool) -> R:
        with visiting(address, f"{settings.gateway_name}-{token_hex(4)}", mqtt_5=mqtt_5) as visit:
            return work(visit)

    try:
        mqtt_5 = settings.mqtt_protocol == "5"
        if settings.mqtt_protocol == "auto":
            mqtt_5 = await speaks_mqtt_5(address, tls_context(address))
        return await asyncio.to_thread(whole, mqtt_5)
    except (OSError, ConnectionRefused, BrokerLost) as error:
        raise NoVisit(_explained(settings, error)) from error


def _explained(settings: Settings, error: Exception) -> Finding:
    host, port = settings.mqtt_broker_host, settings.mqtt_broker_port
    where = f"MQTT_BROKER_HOST={host} MQTT_BROKER_PORT={port}"
    tls = f"openssl s_client -connect {address_of(host, port)}"
    user = settings.mqtt_username or "(none)"
    other = "MQTT_TLS=0" if settings.mqtt_tls else "MQTT_TLS=1"
    match error:
        case ConnectionRefused():
            return failure(
                f"{where} refuses MQTT_USERNAME={user} with its password: {error}",
                f"mosquitto_passwd PASSWORD_FILE {settings.mqtt_username or settings.gateway_name} "
                "at the broker, and correct MQTT_USERNAME and MQTT_PASSWORD",
            )
        case socket.gaierror():
            return failure(
                f"{where}: the name has no address", f"getent hosts {host}, and correct MQTT_BROKER_HOST"
            )
        case ssl.SSLCertVerificationError():
            return failure(
                f"{where}: its certificate is not accepted: {error.verify_message}",
                f"{tls} -showcerts, and correct MQTT_CA_FILE or MQTT_BROKER_HOST",
            )
        case ssl.SSLError():
            return failure(
                f"{where} does not speak TLS as expected: {error.reason or error}",
                f"{tls}, and correct MQTT_TLS, MQTT_CERT_FILE or the port",
            )
        case ConnectionRefusedError():
            return failure(
                f"{where}: nothing listens there",
                "sudo systemctl start mosquitto, or correct MQTT_BROKER_HOST and MQTT_BROKER_PORT",
            )
        case BrokerSilent():
            port_takes = "" if settings.mqtt_tls else "MQTT_TLS=1, if that is what its port takes, or "
            return failure(
                f"{where} accepts connections and does not answer: {error}",
                f"{port_takes}correct the port: it may be another program's",
            )
        case TimeoutError():
            return failure(
                f"{where} does not answer in time", f"nc -vz {host} {port}; a firewall may drop it"
            )
        case BrokerLost() if settings.mqtt_tls:  # behind the handshake, so its port takes TLS
            return failure(
                f"{where} closes the connection after the TLS handshake without a reason: {error}",
                "MQTT_CERT_FILE and MQTT_KEY_FILE of an authority that it accepts, if it asks for a "
                "certificate; its log has the reason: journalctl -u mosquitto",
            )
        case BrokerLost() | ConnectionError():
            return failure(
                f"{where} closes the connection without a reason: {str(error) or type(error).__name__}",
                f"{other}, if that is what its port takes; its log has the reason: journalctl -u mosquitto",
            )
    return failure(f"{where} cannot be reached: {error}", f"nc -vz {host} {port}")
