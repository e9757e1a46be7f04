"""Checks that the broker accepts a connection with the credentials of the settings."""

from collections.abc import Sequence

from gateway.commands.doctor.findings import Finding, ok, skipped, warning
from gateway.commands.doctor.running_gateway import holds_the_connection
from gateway.contract.host_ports import address_of
from gateway.settings import Settings


async def broker(settings: Settings) -> Sequence[Finding]:
    """Connect and disconnect, or ask the running gateway, which is connected."""
    if not settings.mqtt_broker_host:
        return [skipped("MQTT_BROKER_HOST is empty: no workers and no devices over MQTT")]
    user = settings.mqtt_username or "(none)"
    where = address_of(settings.mqtt_broker_host, settings.mqtt_broker_port)
    if await holds_the_connection(settings):
        return [ok(f"the running gateway is connected to {where} with MQTT_USERNAME={user}")]
    from gateway.commands.doctor.broker_connection import NoVisit, visit_broker

    try:
        max_packet = await visit_broker(settings, lambda visit: visit.max_packet)
    except NoVisit as reason:
        return [reason.finding]
    payload = settings.mqtt_max_payload
    if max_packet is not None and max_packet < payload:
        return [
            warning(
                f"{where} takes packets of {max_packet} bytes, less than MQTT_MAX_PAYLOAD={payload}",
                f"max_packet_size {2 * payload} in mosquitto.conf, or MQTT_MAX_PAYLOAD={max_packet}",
            )
        ]
    return [ok(f"{where} accepts MQTT_USERNAME={user}")]
