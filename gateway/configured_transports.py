"""Builds the transports, their breakers and the ingress for devices from the settings."""

import logging
import time
from collections.abc import Mapping
from functools import partial
from secrets import token_hex

from gateway.contract.held_news import HeldNews
from gateway.contract.ingress import Ask, Ingress, StopChat
from gateway.contract.simulators import Simulators
from gateway.contract.traces import Traces
from gateway.contract.transport import Transport
from gateway.core.breaker import Breaker
from gateway.settings import Settings
from transports.llama.servers import transport_to
from transports.mqtt.link.link import Link

log = logging.getLogger("sluice")


def breakers_of(settings: Settings, transports: Mapping[str, Transport]) -> dict[str, Breaker]:
    """Return a breaker for each transport that mode auto can use, in the order of LLM_MODE_ORDER."""
    breakers: dict[str, Breaker] = {
        name: Breaker(
            name, failures=settings.breaker_failures, open_s=settings.breaker_open_s, clock=time.monotonic
        )
        for name in settings.llm_mode_order
        if name in transports
    }
    missing = [name for name in settings.llm_mode_order if name not in transports]
    if missing and settings.llm_comm_mode == "auto":
        log.warning(
            "mode auto uses %s only: set MQTT_BROKER_HOST to use %s", ", ".join(breakers), ", ".join(missing)
        )
    return breakers


def link_of(
    settings: Settings, client_id: str = "", *, quiet: bool = False, held: HeldNews | None = None
) -> Link | None:
    """Return the connection to the broker; None without MQTT_BROKER_HOST.

    client_id: GATEWAY_NAME if empty. held: see AiomqttLink.
    """
    if not settings.mqtt_broker_host:
        return None
    # Imported here: without a broker, the MQTT client is not loaded.
    from transports.mqtt.link.configured_link import configured_link

    return configured_link(settings, client_id or settings.gateway_name, quiet=quiet, held=held)


def simulators_of(settings: Settings, link: Link | None) -> Simulators | None:
    """Return the simulated parts, each with a connection of its own; None without MQTT_BROKER_HOST.

    link: the gateway's own.
    """
    if link is None:
        return None
    from transports.mqtt.link.configured_link import configured_link
    from transports.mqtt.simulators.parts import MqttSimulators

    return MqttSimulators(
        partial(configured_link, settings, quiet=True),
        gateway=settings.gateway_name,
        root=settings.mqtt_topic_root,
        own=link if settings.mqtt_username or settings.mqtt_cert_file else None,
    )


def ingress_of(settings: Settings, link: Link, ask: Ask, stop: StopChat) -> Ingress:
    """Return the ingress for devices. It uses the transport's connection, which the transport opens."""
    from transports.mqtt.devices.ingress import MqttIngress

    return MqttIngress(
        link,
        ask,
        stop=stop,
        root=settings.mqtt_topic_root,
        idle_s=settings.idle_s,
        grace_s=settings.resume_grace_s,
        coalesce_s=settings.mqtt_coalesce_s,
        coalesce_bytes=settings.mqtt_coalesce_bytes,
    )


def transports_of(settings: Settings, link: Link | None, traces: Traces) -> dict[str, Transport]:
    """Return the transports that the settings configure, by mode.

    Args:
        settings: of the gateway.
        link: from link_of.
        traces: has a span for each request to a model server.
    """
    transports: dict[str, Transport] = {
        "sse": transport_to(
            settings.model_servers,
            api_key=settings.llm_api_key or None,
            idle_s=settings.llm_idle_s,
            connect_s=settings.llm_connect_s,
            setting="LLM_SERVER_URL" if settings.llm_comm_mode in ("sse", "auto") else None,
            traced=traces.asking,
        )
    }
    if link is not None:
        from transports.mqtt.link.name_check import forbidden_name
        from transports.mqtt.requests.transport import MqttTransport

        transports["mqtt"] = MqttTransport(
            link,
            lookout=link_of(settings, f"{settings.gateway_name}-{token_hex(4)}", quiet=True),
            root=settings.mqtt_topic_root,
            idle_s=settings.idle_s,
            queue_max=settings.queue_max,
            worker_max=settings.worker_max,
            forbidden_name=forbidden_name(settings.mqtt_username, "GATEWAY_NAME", settings.gateway_name),
        )
    return transports
