"""Builds the gateway from the settings."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from gateway.configured_conversations import conversations_of
from gateway.configured_devices import devices_of
from gateway.configured_drain import drain_of
from gateway.configured_issuer import identities_of
from gateway.configured_limits import limits_of
from gateway.configured_rooms import rooms_of
from gateway.configured_store import retention_of, store_of
from gateway.configured_traces import traces_of
from gateway.configured_transports import breakers_of, link_of, simulators_of, transports_of
from gateway.contract.held_news import HeldNews
from gateway.contract.secrets import remember_secrets
from gateway.contract.transport import Transport
from gateway.core.budgets import Budgets
from gateway.core.checkpoints import Checkpoints
from gateway.core.device_owners import DeviceOwners
from gateway.core.key_ring import KeyRing
from gateway.core.members import MemberAccess
from gateway.core.mirrors import Mirrors
from gateway.core.mode_selector import ModeSelector
from gateway.core.mode_switch import ModeSwitch
from gateway.core.pacing import Pace
from gateway.core.room_posts import RoomPosts
from gateway.core.runs import Runs
from gateway.core.session_news import SessionNews
from gateway.core.shared_news import SharedNews
from gateway.core.stops import Stops
from gateway.core.tickets import Tickets
from gateway.core.worker_rules import WorkerRules
from gateway.journals.memory import MemoryJournal
from gateway.lifespan import Lifespan
from gateway.rooms.event_rates import EventRates
from gateway.settings import Settings
from gateway.telemetry.broker_watch import BrokerWatch
from gateway.telemetry.genai_families import wants_older_names
from gateway.telemetry.last_hour import LastHour
from gateway.telemetry.reply_totals import ReplyTotals
from gateway.version import VERSION
from gateway.web.app import create_app
from gateway.web.door.callers import LOCAL
from gateway.web.door.open_mode import OpenMode
from gateway.web.door.proxies import TrustedProxies
from gateway.web.http.asgi import App
from gateway.web.http.held_bodies import COPIES, HeldBodies
from gateway.web.http.memory_limit import memory_limit
from gateway.web.http.slow_readers import SlowReaders
from gateway.web.http.sse_writer import Pulse
from gateway.web.relay.relay import Relay
from gateway.web.services import Services

log = logging.getLogger("sluice")


@dataclass(frozen=True, slots=True)
class Assembled:
    """The ASGI application, and values that its server needs.

    Attributes:
        drain: refuses new replies and returns when the running ones have ended and are stored; when its event
            is set, it ends them at once.
    """

    app: App
    modes: ModeSelector
    gateway: Services
    drain: Callable[[asyncio.Event], Awaitable[None]]


def assemble(settings: Settings, transports: Mapping[str, Transport] | None = None) -> Assembled:
    """Build the gateway. Files and connections are opened in the application's lifespan, not before.

    transports: by mode, in place of those of the settings.
    """
    remember_secrets(settings.secrets)

    def models() -> Collection[str]:
        return {name for each in chosen.values() for name in each.abilities.models()}

    traces = traces_of(settings, "sluice-gateway", settings.gateway_name, models)
    link, held = None, HeldNews()
    if transports is None:
        link = link_of(settings, held=held)
        transports = transports_of(settings, link, traces)
    chosen = transports = {mode: traces.dispatching(each, mode) for mode, each in transports.items()}
    access = MemberAccess()
    store = store_of(settings, access)
    journal = MemoryJournal(max_bytes=settings.journal_max_bytes, total_bytes=settings.journal_total_bytes)
    runs = Runs(journal, access, grace_s=settings.resume_grace_s, ttl_s=settings.journal_ttl_s)
    checkpoints = Checkpoints(store)
    news, signals = SessionNews(), store.membership.signals
    is_alone = store.membership.gateways is None
    tickets = Tickets(
        settings.ticket_secret.encode(),
        lifetime_s=settings.reply_deadline_s + settings.journal_ttl_s,
        now=store.membership.clock,
    )
    keys = KeyRing(
        store.keys,
        rate_per_minute=settings.rate_per_minute,
        streams=settings.streams_per_user,
        clock=time.monotonic,
        closed=bool(settings.issuer_url),
    )
    identities = identities_of(settings)
    limits = limits_of(settings, store.secret)
    budgets = Budgets(store.keys, store.membership.clock.utc)
    selector = ModeSelector(
        transports,
        settings.llm_comm_mode,
        breakers=breakers_of(settings, transports),
        refuse_unknown_models=settings.unknown_model == "refuse",
    )
    worker_rules = WorkerRules(lambda: [each.abilities for each in transports.values()], store.kept_settings)
    mode_switch = ModeSwitch(selector, settings.llm_comm_mode, store.kept_settings)
    reply_totals = ReplyTotals(models)
    last_hour = LastHour(reply_totals.add)
    conversations = conversations_of(
        settings,
        store,
        runs,
        selector,
        checkpoints,
        news,
        tickets,
        keys,
        budgets,
        limits.places,
        traces,
        last_hour.add,
    )
    adoption = conversations.adoption(settings.adopt_s)
    owners = DeviceOwners(store, open_user=LOCAL.user_id, keys_exist=lambda: keys.closed)
    silence_s = 3 * settings.sse_ping_s
    whole_s = settings.reply_deadline_s + silence_s
    relay = None if is_alone else Relay(store.reply_owners, silence_s, whole_s, store.membership.clock)
    rooms, hall = rooms_of(store, runs, news, access, owners, None if relay is None else relay.replies)

    async def spend(user_id: str) -> None:
        if (allowance := keys.allowance_of(user_id)) is not None:
            await limits.rates.spend(allowance.requests)

    posts = RoomPosts(store, conversations, access, news, settings.max_content_chars, models)
    stops = Stops(runs, store, access, signals, None if is_alone else store.reply_owners)
    ingress, device_rooms = devices_of(
        settings, link, conversations, runs, store, owners, posts, hall, access, spend, stops, adoption
    )
    broker = None
    if link is not None:
        broker = BrokerWatch()
        link.watch(broker.changed)
    pulse = Pulse(settings.sse_ping_s, held)
    proxies = TrustedProxies(settings.trusted_proxies)
    gateway = Services(
        conversations=conversations,
        runs=runs,
        stops=stops,
        store=store,
        templates=store.templates,
        attachments=store.attachments,
        rooms=rooms,
        hall=hall,
        posts=posts,
        event_rates=EventRates(settings.room_events_per_s, time.monotonic),
        usage=store.usage,
        modes=selector,
        mode_switch=mode_switch,
        audit_log=store.audit_log,
        devices=store,
        worker_rules=worker_rules,
        proxies=proxies,
        pulse=pulse,
        slow_readers=SlowReaders(settings.send_timeout_s),
        tickets=tickets,
        keys=keys,
        rates=limits.rates,
        budgets=budgets,
        listeners=limits.listeners,
        redis_connected=limits.connected,
        news=news,
        journal=journal,
        mirrors=Mirrors(runs, owners, ingress),
        pace=Pace(size=settings.chunk_size, delay_s=settings.chunk_delay_s),
        word_pace=Pace("word", delay_s=settings.word_delay_s),
        max_content_chars=settings.max_content_chars,
        held_bodies=HeldBodies(all_bytes=memory_limit() // (COPIES * settings.workers)),
        max_attachment_bytes=settings.max_attachment_bytes,
        max_message_bytes=settings.max_message_bytes,
        max_body_bytes=settings.max_text_body_bytes,
        body_timeout_s=settings.body_timeout_s,
        version=VERSION,
        reply_deadline_s=settings.reply_deadline_s,
        workers=lambda: [worker for each in transports.values() for worker in each.abilities.workers()],
        queued=lambda: sum(each.abilities.queued() for each in transports.values()),
        broker=broker,
        refused_topics=transports.get("mqtt", transports["sse"]).abilities.refused_topics,
        simulators=simulators_of(settings, link),
        relay=relay,
        identities=identities,
        reply_totals=reply_totals,
        traces=traces,
        last_hour=last_hour,
        older_metric_names=wants_older_names(settings.otel_semconv_stability_opt_in),
    )
    lifespan = Lifespan(
        gateway,
        store,
        transports,
        limits,
        checkpoints,
        adoption,
        ingress,
        device_rooms,
        None if is_alone else SharedNews(news, signals),
        retention_of(settings, store),
    )
    origins = settings.cors_origins
    open_mode = OpenMode(settings.allowed_hosts, origins, proxies)
    app = create_app(
        gateway,
        lifespan,
        open_mode=open_mode,
        proxies=proxies,
        cors_origins=origins,
        root_path=settings.root_path,
        log_access=settings.log_access,
    )

    drain = drain_of(settings, transports, runs, gateway.before_stop)
    return Assembled(app, selector, gateway, drain)
