"""Settings become a gateway: the one module that sees every part."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from uuid import uuid4

from gateway.contract.transport import AnnouncesDraining, Transport
from gateway.core.checkpoints import Checkpoints
from gateway.core.conversations import Conversations, Limits
from gateway.core.pacing import Pace
from gateway.core.runs import Runs
from gateway.core.selector import Selector
from gateway.core.session_news import SessionNews
from gateway.core.tickets import Tickets
from gateway.journals.memory import MemoryJournal
from gateway.settings import Settings, SettingsError
from gateway.store.sql_store import SqlStore
from gateway.web.app import create_app
from gateway.web.asgi import App
from gateway.web.event_stream import Pulse
from gateway.web.gateway import Gateway
from gateway.web.streams import resume_url
from transports.llama.transport import LlamaTransport

log = logging.getLogger("sluice")

MIN_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Assembled:
    """The ASGI application, and what the server that runs it has to know.

    drain: ends what runs, in order, and returns when all of it is kept; sooner when its event is set.
    """

    app: App
    modes: Selector
    gateway: Gateway
    drain: Callable[[asyncio.Event], Awaitable[None]]


def assemble(settings: Settings, transports: Mapping[str, Transport] | None = None) -> Assembled:
    """Build the gateway these settings describe; nothing is opened before the application's lifespan.

    transports: by mode, instead of those the settings describe.
    """
    if transports is None:
        transports = transports_of(settings)
    try:
        store = SqlStore(settings.database_url)
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL is not allowed: {error}") from error
    journal = MemoryJournal(max_bytes=settings.journal_max_bytes, total_bytes=settings.journal_total_bytes)
    runs = Runs(journal, grace_s=settings.resume_grace_s, ttl_s=settings.journal_ttl_s)
    checkpoints = Checkpoints(store)
    news = SessionNews()
    tickets = Tickets(
        settings.ticket_secret.encode(),
        lifetime_s=settings.reply_deadline_s + settings.journal_ttl_s,
        now=time.time,
    )
    selector = Selector(
        transports, settings.llm_comm_mode, refuse_unknown_models=settings.unknown_model == "refuse"
    )
    conversations = Conversations(
        store,
        runs,
        selector,
        Limits(deadline_s=settings.reply_deadline_s, history_max_chars=settings.history_max_chars),
        checkpoints,
        news,
        resume_url=lambda stream_id, user_id: resume_url(stream_id, tickets.issue(stream_id, user_id)),
        new_id=lambda: uuid4().hex,
        clock=time.monotonic,
    )
    pulse = Pulse(settings.sse_ping_s, settings.send_timeout_s)
    gateway = Gateway(
        conversations=conversations,
        runs=runs,
        store=store,
        modes=selector,
        pulse=pulse,
        tickets=tickets,
        news=news,
        journal=journal,
        pace=Pace(size=settings.chunk_size, delay_s=settings.chunk_delay_s),
        max_content_chars=settings.max_content_chars,
        # A character is at most twelve bytes of JSON (a pair of \\u escapes).
        max_body_bytes=max(MIN_BODY_BYTES, 12 * settings.max_content_chars),
        version=version("sluice-gateway"),
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(store.running())
            swept = await store.sweep()
            if swept:
                log.warning(
                    "%d replies were cut off when the gateway last ended; they are interrupted", swept
                )
            if not tickets.secret:
                tickets.secret = await store.secret("tickets")
            for transport in transports.values():
                await stack.enter_async_context(transport.running())
            await stack.enter_async_context(runs.running())
            background = await stack.enter_async_context(asyncio.TaskGroup())
            for work in (pulse.run(), checkpoints.run()):
                stack.callback(background.create_task(work).cancel)
            yield

    app = create_app(gateway, lifespan, allow_open=settings.allow_open, cors_origins=settings.cors_origins)

    async def drain(hurry: asyncio.Event) -> None:
        for transport in transports.values():
            if isinstance(transport, AnnouncesDraining):
                transport.drain()
        await runs.drain(settings.drain_s, hurry)

    return Assembled(app, selector, gateway, drain)


def transports_of(settings: Settings) -> dict[str, Transport]:
    """Every transport that these settings make possible, by its mode."""
    transports: dict[str, Transport] = {
        "sse": LlamaTransport(
            settings.llm_server_url,
            api_key=settings.llm_api_key or None,
            idle_s=settings.llm_idle_s,
            connect_s=settings.llm_connect_s,
        )
    }
    if settings.mqtt_broker_host:
        # Without a broker its client need not be loaded.
        from gateway.broker_link import broker_link
        from transports.mqtt.transport import MqttTransport

        transports["mqtt"] = MqttTransport(
            broker_link(settings, settings.gateway_name),
            root=settings.mqtt_topic_root,
            idle_s=settings.idle_s,
            queue_max=settings.queue_max,
        )
    return transports
