"""A real Mosquitto with the shipped settings, ACL and scripts, and clients who try what they may not."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.contract.events import Delta
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn
from tests.live.brokers import Mosquitto, running_mosquitto
from tests.reading import reading
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress, Will
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, tokens

PROJECT = Path(__file__).parents[2]
SCRIPTS = PROJECT / "deploy/mosquitto"
PROBE = """
user probe
topic readwrite #
user worker-2
topic readwrite sluice/v1/workers/worker-2/status
"""


async def run_script(name: str, *arguments: str | Path, **environment: str) -> tuple[int, str]:
    """A script of deploy/mosquitto: its exit code, and all that it said."""
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/env",
        *(f"{key}={value}" for key, value in environment.items()),
        "/bin/sh",
        str(SCRIPTS / name),
        *map(str, arguments),
        stdout=PIPE,
        stderr=STDOUT,
    )
    async with asyncio.timeout(120):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def make_passwords(folder: Path, *names: str) -> None:
    assert (await run_script("make_passwords.sh", folder, *names))[0] == 0


@dataclass
class Guarded:
    """A broker with the shipped settings, and the password of each client."""

    address: BrokerAddress
    folder: Path

    def link(self, name: str, client_id: str | None = None) -> AiomqttLink:
        password = (self.folder / f"{name}.password").read_text()
        address = replace(self.address, username=name, password=password)
        return AiomqttLink(address, client_id=client_id or name)


def shipped_settings(folder: Path) -> str:
    """mosquitto.conf with its files in `folder`."""
    return (PROJECT / "mosquitto.conf").read_text().replace("/mosquitto/config", str(folder))


@asynccontextmanager
async def guarded_broker(folder: Path, *clients: str) -> AsyncIterator[tuple[Guarded, Mosquitto]]:
    await make_passwords(folder, *clients)
    (folder / "acl").write_text((SCRIPTS / "acl").read_text() + PROBE)
    async with running_mosquitto(shipped_settings(folder)) as broker:
        yield Guarded(broker.address, folder), broker


class Ear:
    """One client that hears `topics`, and knows when the payload `last` has come.

    heard: topic and payload, in order.
    """

    def __init__(self, link: AiomqttLink, topics: Iterable[str]) -> None:
        self.link = link
        self.heard: list[tuple[str, str]] = []
        self._last = asyncio.Event()
        for topic in set(topics):
            link.subscribe(topic, self._hear)

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        if payload == b"last":
            self._last.set()
        else:
            self.heard.append((topic, payload.decode()))

    async def hear_all(self) -> set[tuple[str, str]]:
        await self._last.wait()
        return set(self.heard)


@asynccontextmanager
async def listening(link: AiomqttLink, topics: Iterable[str], will: Will | None = None) -> AsyncIterator[Ear]:
    ear = Ear(link, topics)
    up = asyncio.Event()
    link.watch(lambda connected: up.set() if connected else None)
    async with link.running(will), asyncio.timeout(120):
        await up.wait()
        yield ear


async def reply_through(guarded: Guarded, worker_name: str = "worker-1") -> str:
    """The text of one reply, from gateway to worker and back."""
    transport = MqttTransport(guarded.link("gateway"))
    worker = Worker(ScriptedTransport(lambda _: tokens("a", "b")), guarded.link(worker_name))
    async with asyncio.timeout(120), transport.running(), worker.running():
        await transport.until_ready()
        async with reading(transport, ChatRequest("f" * 32, [Turn("user", "hi")])) as stream:
            events = [event async for batch in stream for event in batch]
    return "".join(event.text for event in events if isinstance(event, Delta))
