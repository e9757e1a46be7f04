"""The shipped mosquitto.conf, ACL and password script, on a real Mosquitto: who may do what.

Mosquitto answers "granted" to forbidden subscriptions, so delivery is what counts.
"""

import asyncio
import os
import re
import shutil
import subprocess
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.contract.events import Delta
from gateway.contract.requests import ChatRequest, Turn
from tests.live.brokers import requires_mosquitto, running_mosquitto
from transports.mqtt.aiomqtt_link import AiomqttLink
from transports.mqtt.link import BrokerAddress
from transports.mqtt.transport import MqttTransport
from transports.mqtt.worker import Worker
from transports.scripted import ScriptedTransport, tokens

pytestmark = [pytest.mark.live, requires_mosquitto()]

PROJECT = Path(__file__).parents[2]
CLIENTS = ("gateway", "worker-1", "device-1", "worker-2", "probe")
PROBE = """
user probe
topic readwrite #
user worker-2
topic readwrite sluice/v1/workers/worker-2/status
"""


async def make_passwords(folder: Path, *names: str) -> None:
    script = PROJECT / "deploy/mosquitto/make_passwords.sh"
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", str(script), str(folder), *names, stdout=DEVNULL, stderr=DEVNULL
    )
    async with asyncio.timeout(5):
        assert await process.wait() == 0


@dataclass
class Guarded:
    """A broker with the shipped settings, and the password of each client."""

    address: BrokerAddress
    folder: Path

    def link(self, name: str) -> AiomqttLink:
        password = (self.folder / f"{name}.password").read_text()
        return AiomqttLink(replace(self.address, username=name, password=password), client_id=name)


@asynccontextmanager
async def guarded_broker(folder: Path) -> AsyncIterator[Guarded]:
    await make_passwords(folder, *CLIENTS)
    (folder / "acl").write_text((PROJECT / "deploy/mosquitto/acl").read_text() + PROBE)
    shipped = (PROJECT / "mosquitto.conf").read_text()
    settings = re.sub(r"(?m)^listener .*$", "", shipped).replace("/mosquitto/config", str(folder))
    async with running_mosquitto(settings) as broker:
        yield Guarded(broker.address, folder)


class Ear:
    """One client that hears `topics`, and knows when the payload `last` has come."""

    def __init__(self, link: AiomqttLink, topics: Iterable[str]) -> None:
        self.link = link
        self.heard: set[str] = set()
        self._last = asyncio.Event()
        for topic in set(topics):
            link.subscribe(topic, self._hear)

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        if payload == b"last":
            self._last.set()
        else:
            self.heard.add(topic)

    async def hear_all(self) -> set[str]:
        await self._last.wait()
        return self.heard


@asynccontextmanager
async def listening(guarded: Guarded, name: str, topics: Iterable[str]) -> AsyncIterator[Ear]:
    ear = Ear(guarded.link(name), topics)
    up = asyncio.Event()
    ear.link.watch(lambda connected: up.set() if connected else None)
    async with ear.link.running(), asyncio.timeout(5):
        await up.wait()
        yield ear


def own_status(name: str) -> str:
    return f"sluice/v1/{name.split('-')[0]}s/{name}/status"


FORBIDDEN_WRITES = [
    ("worker-1", "sluice/v1/workers/worker-2/status"),
    ("worker-1", "sluice/v1/workers/worker-2/inbox"),
    ("worker-1", "sluice/v1/workers/worker-1/inbox"),
    ("worker-1", "sluice/v1/gateways/gateway/replies/worker-2"),
    ("worker-1", "sluice/v1/gateways/gateway/status"),
    ("worker-1", "sluice/v1/devices/device-1/down"),
    ("device-1", "sluice/v1/devices/device-2/up"),
    ("device-1", "sluice/v1/devices/device-1/down"),
    ("device-1", "sluice/v1/workers/device-1/status"),
    ("device-1", "sluice/v1/workers/worker-1/inbox"),
    ("device-1", "sluice/v1/gateways/gateway/replies/device-1"),
    ("gateway", "sluice/v1/workers/worker-1/status"),
    ("gateway", "sluice/v1/gateways/other/status"),
]
ALLOWED_WRITES = [
    ("worker-1", "sluice/v1/workers/worker-1/status"),
    ("worker-1", "sluice/v1/gateways/gateway/replies/worker-1"),
    ("device-1", "sluice/v1/devices/device-1/up"),
    ("device-1", "sluice/v1/devices/device-1/cancel"),
    ("device-1", "sluice/v1/devices/device-1/status"),
    ("gateway", "sluice/v1/workers/worker-1/inbox"),
    ("gateway", "sluice/v1/devices/device-1/down"),
    ("gateway", "sluice/v1/gateways/gateway/status"),
]


async def test_everybody_writes_where_they_may_and_nowhere_else(tmp_path: Path) -> None:
    everywhere = [topic for _, topic in FORBIDDEN_WRITES + ALLOWED_WRITES]
    async with (
        guarded_broker(tmp_path) as guarded,
        listening(guarded, "probe", everywhere) as probe,
    ):
        for name, topic in FORBIDDEN_WRITES + ALLOWED_WRITES:
            async with listening(guarded, name, ["nothing"]) as client:
                await client.link.publish(topic, b"{}")
        await probe.link.publish(everywhere[0], b"last")
        assert await probe.hear_all() == {topic for _, topic in ALLOWED_WRITES}


FORBIDDEN_READS = [
    ("worker-1", "sluice/v1/workers/worker-2/inbox"),
    ("worker-1", "sluice/v1/workers/worker-2/status"),
    ("worker-1", "sluice/v1/gateways/gateway/replies/worker-2"),
    ("worker-1", "sluice/v1/devices/device-1/up"),
    ("device-1", "sluice/v1/devices/device-2/down"),
    ("device-1", "sluice/v1/workers/worker-1/inbox"),
    ("device-1", "sluice/v1/gateways/gateway/replies/worker-1"),
    ("gateway", "sluice/v1/workers/worker-1/inbox"),
    ("gateway", "sluice/v1/gateways/other/replies/worker-1"),
]
ALLOWED_READS = [
    ("worker-1", "sluice/v1/workers/worker-1/inbox"),
    ("worker-1", "sluice/v1/workers/worker-1/status"),
    ("worker-1", "sluice/v1/gateways/gateway/status"),
    ("device-1", "sluice/v1/devices/device-1/down"),
    ("gateway", "sluice/v1/gateways/gateway/replies/worker-1"),
    ("gateway", "sluice/v1/workers/worker-1/status"),
    ("gateway", "sluice/v1/devices/device-1/up"),
    ("gateway", "sluice/v1/devices/device-1/cancel"),
    ("gateway", "sluice/v1/devices/device-1/status"),
]


async def test_everybody_reads_what_they_may_and_nothing_else(tmp_path: Path) -> None:
    for name in ("gateway", "worker-1", "device-1"):
        tried = [topic for reader, topic in FORBIDDEN_READS + ALLOWED_READS if reader == name]
        async with (
            guarded_broker(tmp_path) as guarded,
            listening(guarded, "probe", ["nothing"]) as probe,
            listening(guarded, name, [*tried, own_status(name)]) as reader,
        ):
            for topic in tried:
                await probe.link.publish(topic, b"{}")
            await probe.link.publish(own_status(name), b"last")
            assert await reader.hear_all() == {topic for reader, topic in ALLOWED_READS if reader == name}


async def reply_through(guarded: Guarded) -> str:
    transport = MqttTransport(guarded.link("gateway"))
    worker = Worker(ScriptedTransport(lambda _: tokens("a", "b")), guarded.link("worker-1"))
    async with asyncio.timeout(10), transport.running(), worker.running():
        await transport.until_ready()
        async with transport.open(ChatRequest("f" * 32, [Turn("user", "hi")])) as stream:
            events = [event async for batch in stream for event in batch]
    return "".join(event.text for event in events if isinstance(event, Delta))


async def test_a_reply_passes_with_these_rights(tmp_path: Path) -> None:
    async with guarded_broker(tmp_path) as guarded:
        assert await reply_through(guarded) == "ab"


async def test_passwords_are_made_once_and_for_their_reader_only(tmp_path: Path) -> None:
    await make_passwords(tmp_path, "gateway")
    first = (tmp_path / "gateway.password").read_text()
    await make_passwords(tmp_path, "gateway", "worker-1")
    assert (tmp_path / "gateway.password").read_text() == first
    assert re.fullmatch("[0-9a-f]{48}", first)
    assert (tmp_path / "worker-1.password").read_text() != first
    for name in ("passwd", "gateway.password", "worker-1.password"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
    assert first not in (tmp_path / "passwd").read_text()


def requires_docker() -> None:
    """Skip where no Docker engine answers, or fail where REQUIRE_LIVE_DOCKER=1."""
    docker = shutil.which("docker")
    answers = docker is not None and subprocess.run([docker, "info"], capture_output=True).returncode == 0
    if not answers:
        assert os.environ.get("REQUIRE_LIVE_DOCKER") != "1", (
            "REQUIRE_LIVE_DOCKER=1, and Docker does not answer"
        )
        pytest.skip("needs a running Docker engine")


@pytest.fixture
def mosquitto_container(tmp_path: Path) -> Iterator[Guarded]:
    """eclipse-mosquitto:2 with the shipped files."""
    requires_docker()
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    tmp_path.chmod(0o755)  # the broker changes to a user of its own
    for shipped in ("mosquitto.conf", "deploy/mosquitto/acl", "deploy/mosquitto/make_passwords.sh"):
        shutil.copy(PROJECT / shipped, tmp_path)
    start = "sh /mosquitto/config/make_passwords.sh /mosquitto/config gateway worker-1"
    start += " && chmod a+r /mosquitto/config/*.password"  # the test need not be root
    start += " && echo they are made && exec mosquitto -c /mosquitto/config/mosquitto.conf"
    container = DockerContainer("eclipse-mosquitto:2").with_exposed_ports(1883)
    container.with_volume_mapping(str(tmp_path), "/mosquitto/config", "rw").with_command(["sh", "-c", start])
    container.waiting_for(LogMessageWaitStrategy("they are made").with_startup_timeout(20))
    with container:
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(1883))
        yield Guarded(BrokerAddress(host, port), tmp_path)


async def test_the_shipped_files_work_in_the_official_image(mosquitto_container: Guarded) -> None:
    assert await reply_through(mosquitto_container) == "ab"
