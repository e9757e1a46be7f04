"""`sluice worker`: a llama.cpp server behind a broker, served to gateways over MQTT."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.broker_link import broker_link
from gateway.contract.errors import RequestRejected
from gateway.settings import Settings, SettingsError
from transports.llama.transport import LlamaTransport
from transports.mqtt.worker import Worker

log = logging.getLogger("sluice.worker")

DEFAULT_MAX_CONCURRENT = 4


@asynccontextmanager
async def serving(settings: Settings, name: str, max_concurrent: int) -> AsyncIterator[Worker]:
    """A worker at work. max_concurrent 0: as many requests at once as the llama.cpp server has slots."""
    transport = LlamaTransport(
        settings.llm_server_url,
        api_key=settings.llm_api_key or None,
        idle_s=settings.llm_idle_s,
        connect_s=settings.llm_connect_s,
    )
    slots = max_concurrent or await transport.total_slots() or DEFAULT_MAX_CONCURRENT
    try:
        link = broker_link(settings, name)
        worker = Worker(transport, link, root=settings.mqtt_topic_root, max_concurrent=slots)
    except RequestRejected as error:
        raise SettingsError(str(error)) from error
    async with worker.running():
        yield worker


async def run_worker(settings: Settings, name: str, max_concurrent: int) -> None:
    """Serve until a signal; the first lets what runs end, a second stops at once."""
    asked, hurry = asyncio.Event(), asyncio.Event()

    def heed() -> None:
        (hurry if asked.is_set() else asked).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heed)
    async with serving(settings, name, max_concurrent) as worker:
        log.info(
            "worker %s serves %s to %s:%d",
            name,
            settings.llm_server_url,
            settings.mqtt_broker_host,
            settings.mqtt_broker_port,
        )
        await asked.wait()
        log.info("draining: no new requests; a second signal stops at once")
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(worker.drain(settings.drain_s))
            hurried = group.create_task(hurry.wait())
            await asyncio.wait({drained, hurried}, return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
            hurried.cancel()
