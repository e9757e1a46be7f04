"""Checks that workers have announced themselves at the broker."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.commands.doctor.findings import Finding, failure, ok, skipped, warning
from gateway.commands.doctor.running_gateway import holds_the_connection
from gateway.contract.errors import ProtocolViolation, StorageFailed
from gateway.settings import Settings

if TYPE_CHECKING:
    from transports.mqtt.link.broker_visit import BrokerVisit
    from transports.mqtt.protocol.frames import Status

SOON_S = 0.5
MOST = 10_000


async def workers(settings: Settings) -> Sequence[Finding]:
    """Read the retained statuses, as the gateway does at its start."""
    if not settings.mqtt_broker_host:
        return [skipped("MQTT_BROKER_HOST is empty")]
    if await holds_the_connection(settings):
        return [skipped("not read beside the connected gateway: sluice workers list shows its workers")]
    from gateway.commands.doctor.broker_connection import NoVisit, visit_broker

    try:
        found = await visit_broker(settings, lambda visit: _statuses(settings, visit))
    except NoVisit:
        return [skipped("the broker cannot be used")]
    disabled = await _disabled(settings)
    willing = {name: status for name, status in found.items() if status.state == "ready"}
    ready = {name: status for name, status in willing.items() if name not in disabled}
    said = f"{len(ready)} of {len(found)} announced workers are ready"
    if away := sorted(willing.keys() - ready.keys()):
        said += f", and {', '.join(away[:10])}{' …' * (len(away) > 10)} disabled by an administrator"
    if ready:
        models = sorted({model for status in ready.values() for model in status.models})
        return [
            ok(f"{said}, with the models {', '.join(models[:10]) or '(unnamed)'}{' …' * (len(models) > 10)}")
        ]
    if settings.llm_comm_mode == "sse":
        return [ok(f"{said}; LLM_COMM_MODE=sse needs none")]
    level = failure if settings.llm_comm_mode == "mqtt" else warning
    if away:
        return [level(said, f"sluice workers enable {away[0]}")]
    where = f"{settings.mqtt_broker_host}:{settings.mqtt_broker_port}"
    return [
        level(
            f"{said}, or the broker's ACL does not let us read {settings.mqtt_topic_root}/workers/+/status",
            f"sluice worker --name worker-1 --llm-url http://127.0.0.1:8080 --broker {where}",
        )
    ]


async def _disabled(settings: Settings) -> frozenset[str]:
    """Return the workers that a rule in the database disables; none if it cannot be read, which the check
    `database` reports."""
    from gateway.core.worker_rules import PREFIX
    from gateway.store.inspection import inspect_database

    try:
        kept = (await inspect_database(settings.database_url)).kept_settings
    except (StorageFailed, ValueError):
        return frozenset()
    return frozenset(
        name.removeprefix(PREFIX)
        for name, value in kept.items()
        if name.startswith(PREFIX) and value.get("disabled")
    )


def _statuses(settings: Settings, visit: "BrokerVisit") -> dict[str, "Status"]:
    from transports.mqtt.protocol.frame_codec import decode_status
    from transports.mqtt.protocol.topics import every_worker_status, status_sender

    found: dict[str, Status] = {}
    if not visit.subscribe(every_worker_status(settings.mqtt_topic_root)):
        return found
    for _ in range(MOST):
        message = visit.message(SOON_S)
        if message is None:
            break
        topic, payload, _ = message
        try:
            found[status_sender(topic)] = decode_status(payload)
        except ProtocolViolation:
            continue
    return found
