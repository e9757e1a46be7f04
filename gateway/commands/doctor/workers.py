"""Checks that workers have announced themselves at the broker."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.commands.doctor.findings import Finding, failure, ok, skipped, warning
from gateway.commands.doctor.running_gateway import NotShown, holds_the_connection, shown_by_gateway
from gateway.contract.errors import ProtocolViolation, StorageFailed
from gateway.contract.host_ports import address_of
from gateway.settings import Settings

if TYPE_CHECKING:
    from transports.mqtt.link.broker_visit import BrokerVisit
    from transports.mqtt.protocol.frames import Status

SOON_S = 0.5
MOST = 10_000
DISABLED = "disabled by an administrator"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A worker that is there. problem: the reason why it gets no requests; empty if it gets some."""

    name: str
    models: Sequence[str]
    problem: str = ""


async def workers(settings: Settings) -> Sequence[Finding]:
    """Ask the running gateway, or read the retained statuses as a gateway does at its start."""
    if not settings.mqtt_broker_host:
        return [skipped("MQTT_BROKER_HOST is empty")]
    if await holds_the_connection(settings):
        try:
            return [
                _judged(settings, _seen_by_gateway(await shown_by_gateway(settings, "/api/admin/workers")))
            ]
        except NotShown as reason:
            return [skipped(str(reason))]
    from gateway.commands.doctor.broker_connection import NoVisit, visit_broker

    try:
        statuses = await visit_broker(settings, lambda visit: _statuses(settings, visit))
    except NoVisit:
        return [skipped("the broker cannot be used")]
    return [_judged(settings, _announced(statuses, await _disabled(settings)))]


def _seen_by_gateway(told: Sequence[Mapping[str, Any]]) -> Sequence[_Seen]:
    def problem_of(ruled: Mapping[str, Any]) -> str:
        worker = ruled["worker"]
        if worker["state"] != "ready":
            return str(worker["state"])
        if ruled["disabled"]:
            return DISABLED
        return "suspended after failures" if worker["set_aside"] else ""

    return [
        _Seen(ruled["name"], ruled["worker"]["models"], problem_of(ruled))
        for ruled in told
        if ruled["worker"] is not None
    ]


def _announced(statuses: Mapping[str, "Status"], disabled: Collection[str]) -> Sequence[_Seen]:
    def problem_of(name: str, state: str) -> str:
        if state != "ready":
            return state
        return DISABLED if name in disabled else ""

    return [_Seen(name, status.models, problem_of(name, status.state)) for name, status in statuses.items()]


def _judged(settings: Settings, found: Sequence[_Seen]) -> Finding:
    ready = [seen for seen in found if not seen.problem]
    idle = sorted((seen for seen in found if seen.problem), key=lambda seen: seen.name)
    said = f"{len(ready)} of {len(found)} announced workers are ready"
    if idle:
        shown = ", ".join(f"{seen.name} is {seen.problem}" for seen in idle[:10])
        said += f"; {shown}{' …' * (len(idle) > 10)}"
    if ready:
        models = sorted({model for seen in ready for model in seen.models})
        return ok(f"{said}; models: {', '.join(models[:10]) or '(unnamed)'}{' …' * (len(models) > 10)}")
    if settings.llm_comm_mode == "sse":
        return ok(f"{said}; LLM_COMM_MODE=sse needs none")
    level = failure if settings.llm_comm_mode == "mqtt" else warning
    for seen in idle:
        if seen.problem == DISABLED:
            return level(said, f"sluice workers enable {seen.name}")
    if idle:
        fix = f"journalctl -u sluice-worker -n 50 at {idle[0].name}: it stops, or its model servers are away"
        return level(said, fix)
    broker = address_of(settings.mqtt_broker_host, settings.mqtt_broker_port)
    return level(
        f"{said}, or the broker's ACL does not let us read {settings.mqtt_topic_root}/workers/+/status",
        f"sluice worker --name worker-1 --llm-url {settings.model_servers[0]} --broker {broker}",
    )


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
