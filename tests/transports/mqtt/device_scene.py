"""A gateway's core behind a broker in memory, and devices that talk to it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from gateway.contract.events import Delta, Done
from gateway.contract.ingress import Ask
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest
from gateway.core.access import OwnerAccess
from gateway.core.conversations import Conversations
from gateway.core.device_chats import DeviceChats
from gateway.core.device_owners import DeviceOwners
from gateway.core.limits import Limits
from gateway.core.mirrors import Mirrors
from gateway.core.mode_selector import ModeSelector
from gateway.core.run import Run
from gateway.core.runs import Runs
from gateway.core.stops import Stops
from gateway.store.local_signals import LocalHub, LocalSignals
from tests.core.house import USER, House, house
from tests.transports.mqtt.device_end import DeviceEnd
from tests.transports.mqtt.memory_link import MemoryBroker, MemoryLink
from transports.mqtt.devices.ingress import MqttIngress
from transports.scripted import Script, Step

MAX_CONTENT_CHARS = 1_000


class Slow:
    """A script whose second token waits until the test says so."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    def __call__(self, _: ChatRequest) -> list[Step]:
        return [[Delta("one ")], self.go_on.wait, [Delta("two ")], [Delta("three")], [Done("stop")]]


@dataclass
class Scene:
    home: House
    ingress: MqttIngress
    mirrors: Mirrors
    broker: MemoryBroker
    link: MemoryLink
    device: DeviceEnd

    async def settled(self) -> None:
        """Return when everything that is on its way was heard, and no chat is open."""
        await self.ingress.idle()
        for _ in range(3):  # a message, its handler, an answer
            await asyncio.sleep(0)


async def rows(home: House) -> int:
    sessions = await home.store.sessions(USER)
    return sum([len(await home.store.messages(USER, session.id)) for session in sessions])


async def the_run(at: Scene) -> Run:
    """The run that answers the only chat."""
    reply = (await at.home.store.messages(USER, 1))[1]
    return at.home.runs.find(reply.stream_id or "", USER)


def device_at(broker: MemoryBroker, name: str) -> DeviceEnd:
    link = broker.link(name)
    device = DeviceEnd(link)
    link.connect()
    return device


def chats_of(
    home: House,
    *,
    keys_exist: bool = False,
    anothers_s: float = 0,
    after_s: float = 0,
    signals: LocalSignals | None = None,
) -> DeviceChats:
    """after_s: how much later it is for it."""
    return DeviceChats(
        home.conversations,
        home.runs,
        home.store,
        owners_of(home, keys_exist=keys_exist),
        max_content_chars=MAX_CONTENT_CHARS,
        stop=Stops(home.runs, home.store, OwnerAccess(), signals or LocalSignals("a", LocalHub())).stop,
        anothers_s=anothers_s,
        now=lambda: datetime.now(UTC) + timedelta(seconds=after_s),
    )


def owners_of(home: House, *, keys_exist: bool = False) -> DeviceOwners:
    return DeviceOwners(home.store, open_user=USER, keys_exist=lambda: keys_exist)


@asynccontextmanager
async def scene(
    tmp_path: Path,
    script: Script,
    *,
    ask: Ask | None = None,
    keys_exist: bool = False,
    anothers_s: float = 0,
    grace_s: float = 30,
    ttl_s: float = 600,
    idle_s: float = 30,
    coalesce_s: float = 0,
    **of_house: Any,
) -> AsyncIterator[Scene]:
    async with house(tmp_path, script, grace_s=grace_s, ttl_s=ttl_s, in_sql=True, **of_house) as home:
        broker = MemoryBroker()
        link = broker.link("gateway")
        chats = ask or chats_of(home, keys_exist=keys_exist, anothers_s=anothers_s)
        ingress = MqttIngress(link, chats, idle_s=idle_s, grace_s=grace_s, coalesce_s=coalesce_s, retry_s=0)
        mirrors = Mirrors(home.runs, owners_of(home, keys_exist=keys_exist), ingress)
        async with link.running(), ingress.running(), asyncio.timeout(30):
            yield Scene(home, ingress, mirrors, broker, link, device_at(broker, "robot-1"))


def second_core(home: House) -> House:
    """As another process would have on the same database; who wants runs of it must run them."""
    runs = Runs(home.journal, OwnerAccess(), grace_s=30, ttl_s=600)
    conversations = Conversations(
        home.store,
        runs,
        ModeSelector({"scripted": home.transport}, "scripted"),
        Limits(deadline_s=60),
        home.checkpoints,
        home.news,
        resume_url=lambda stream_id, _: f"/{stream_id}",
        new_id=lambda: uuid4().hex,
        clock=time.monotonic,
    )
    return replace(home, conversations=conversations, runs=runs)


@asynccontextmanager
async def second_gateway(at: Scene) -> AsyncIterator[MqttIngress]:
    """Another gateway on the same broker and the same database."""
    home = second_core(at.home)
    link = at.broker.link("gateway-2")
    ingress = MqttIngress(link, chats_of(home, anothers_s=5), coalesce_s=0)
    async with link.running(), ingress.running(), home.runs.running():
        yield ingress
