"""`sluice worker`: serves llama.cpp servers to gateways over MQTT."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from typing import Any

from gateway.configured_traces import traces_of
from gateway.contract.errors import RequestRejected
from gateway.contract.host_ports import address_of
from gateway.contract.open_files import raise_descriptor_limit
from gateway.contract.secrets import without_secrets
from gateway.process.health_page import health_page
from gateway.settings import Settings, SettingsError
from gateway.settings_errors import shown
from transports.llama.servers import LlamaServers
from transports.llama.transport import LlamaTransport
from transports.mqtt.link.configured_link import configured_link
from transports.mqtt.link.link import Link
from transports.mqtt.link.name_check import forbidden_name
from transports.mqtt.worker.worker import Worker

log = logging.getLogger("sluice.worker")


@asynccontextmanager
async def serving(
    settings: Settings,
    name: str,
    max_concurrent: int = 0,
    *,
    llm_urls: Sequence[str] = (),
    health_host: str = "127.0.0.1",
    health_port: int | None = None,
) -> AsyncIterator[Worker]:
    """Run a worker during the block. Raises SettingsError.

    Args:
        name: of the worker.
        max_concurrent: maximum requests at the same time; 0 for the number of slots of the healthy servers.
        llm_urls: model servers; empty for those of LLM_SERVER_URL.
        health_host: address of the health page.
        health_port: see health_page; None for no page.
    """
    traces = traces_of(settings, "sluice-worker", name)
    try:
        servers = LlamaServers(
            [
                (url, traces.asking(_llama(settings, url), url))
                for url in dict.fromkeys(llm_urls or settings.model_servers)
            ],
            changed=lambda: worker.offer(
                servers.models(), servers.slots and (max_concurrent or servers.slots)
            ),
            learns_embeds=True,
        )
        link = configured_link(settings, name)
        worker = Worker(
            traces.serving(servers, name),
            link,
            root=settings.mqtt_topic_root,
            max_concurrent=max_concurrent,
            coalesce_s=settings.mqtt_coalesce_s,
            coalesce_bytes=settings.mqtt_coalesce_bytes,
            keep_bytes=settings.keep_bytes,
            forbidden_name=forbidden_name(settings.mqtt_username, "--name", name),
        )
    except RequestRejected as error:
        raise SettingsError(f"--name {shown(name)} is not allowed: {error}") from error
    async with AsyncExitStack() as stack:
        stack.push_async_callback(traces.close)
        if health_port is not None:
            page = health_page(health_port, lambda: _report(worker, link, servers), health_host)
            try:
                url = await stack.enter_async_context(page)
            except OSError as error:
                wrong = f"--health-host {shown(health_host)} --health-port {health_port}"
                raise SettingsError(f"{wrong} cannot be used: {error}") from error
            log.info("/health and /ready are served on %s", url)
        await stack.enter_async_context(worker.running())
        yield worker


async def run_worker(
    settings: Settings,
    name: str,
    max_concurrent: int,
    llm_urls: Sequence[str],
    *,
    health_host: str,
    health_port: int | None,
) -> None:
    """Run a worker until a signal. The first signal drains it, a second one stops it at once."""
    raise_descriptor_limit()
    asked, hurry = asyncio.Event(), asyncio.Event()

    def heed() -> None:
        (hurry if asked.is_set() else asked).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heed)
    async with serving(
        settings, name, max_concurrent, llm_urls=llm_urls, health_host=health_host, health_port=health_port
    ) as worker:
        log.info(
            "worker %s serves %s, %d requests at a time, over the broker %s",
            name,
            ", ".join(llm_urls or settings.model_servers),
            worker.max_concurrent,
            address_of(settings.mqtt_broker_host, settings.mqtt_broker_port),
        )
        await asked.wait()
        log.info("draining: no new requests; a second signal stops at once")
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(worker.drain(settings.drain_s))
            hurried = group.create_task(hurry.wait())
            await asyncio.wait({drained, hurried}, return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
            hurried.cancel()


def _llama(settings: Settings, url: str) -> LlamaTransport:
    try:
        return LlamaTransport(
            url,
            api_key=settings.llm_api_key or None,
            idle_s=settings.llm_idle_s,
            connect_s=settings.llm_connect_s,
        )
    except ValueError as error:
        raise SettingsError(f"--llm-url {shown(url)}: {error}") from error


def _report(worker: Worker, link: Link, servers: LlamaServers) -> tuple[bool, Mapping[str, Any]]:
    problem = {} if worker.problem is None else {"problem": worker.problem}
    return worker.state == "ready" and link.connected and not problem, {
        "state": worker.state,
        **problem,
        "broker": "connected" if link.connected else "away",
        "servers": [
            asdict(server) | {"url": without_secrets(server.url)} for server in servers.list_servers()
        ],
        "busy": worker.busy,
        "max": worker.max_concurrent,
    }
