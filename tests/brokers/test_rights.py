"""The shipped settings of ejabberd and RabbitMQ: each client may do what it must, and nothing else."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.contract.events import Delta
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn
from tests.brokers import ejabberd
from tests.brokers.ejabberd import Ejabberd
from tests.brokers.erlang import Erlang
from tests.brokers.rabbitmq import DEPLOY, RabbitMQ
from tests.brokers.running_broker import requires_brokers
from tests.live.programs import clean_environment
from tests.reading import events_of
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.broker_visit import BrokerLost, ConnectionRefused, visiting
from transports.mqtt.link.link import BrokerAddress, Receipt
from transports.mqtt.link.mqtt_version import BrokerSilent
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, tokens

pytestmark = [pytest.mark.live, requires_brokers()]

CLIENTS = {"gateway": "gateway", "worker-1": "worker", "device-1": "device"}
"""With their roles."""
R = "sluice/v1"
MAY_WRITE = {
    f"{R}/gateways/gateway/status": {"gateway"},
    f"{R}/workers/worker-1/inbox": {"gateway"},
    f"{R}/devices/device-1/down": {"gateway"},
    f"{R}/workers/worker-1/status": {"worker-1"},
    f"{R}/gateways/gateway/replies/worker-1": {"worker-1"},
    f"{R}/gateways/gateway/replies/worker-2": set[str](),
    f"{R}/gateways/other/status": set[str](),
    f"{R}/workers/worker-2/status": set[str](),
    f"{R}/devices/device-1/up": {"device-1"},
    f"{R}/devices/device-1/cancel": {"device-1"},
    f"{R}/devices/device-1/status": {"device-1"},
    f"{R}/devices/device-2/up": set[str](),
    "other/topic": set[str](),
}
MAY_READ = {
    f"{R}/gateways/gateway/status": {"gateway", "worker-1"},
    f"{R}/gateways/gateway/replies/+": {"gateway"},
    f"{R}/workers/+/status": {"gateway"},
    f"{R}/devices/+/up": {"gateway"},
    f"{R}/devices/+/cancel": {"gateway"},
    f"{R}/devices/+/status": {"gateway"},
    f"{R}/workers/worker-1/status": {"gateway", "worker-1"},
    f"{R}/workers/worker-1/inbox": {"worker-1"},
    f"{R}/workers/+/inbox": set[str](),
    f"{R}/gateways/+/status": {"worker-1"},
    f"{R}/devices/device-1/down": {"device-1"},
    f"{R}/devices/+/down": set[str](),
    "#": set[str](),
}


@asynccontextmanager
async def guarded_ejabberd(folder: Path) -> AsyncIterator[BrokerAddress]:
    settings = ejabberd.SHIPPED.read_text()
    async with AsyncExitStack() as stack:
        erlang = await stack.enter_async_context(Erlang(folder).running())
        broker = Ejabberd(folder / "ejabberd", erlang, settings=settings)
        await stack.enter_async_context(broker.running())
        for name in CLIENTS:
            await broker.register(name, f"password of {name}")
        yield replace(broker.address, protocol="5")


@asynccontextmanager
async def guarded_rabbitmq(folder: Path) -> AsyncIterator[BrokerAddress]:
    settings = (DEPLOY / "rabbitmq.conf").read_text()
    async with AsyncExitStack() as stack:
        erlang = await stack.enter_async_context(Erlang(folder).running())
        broker = RabbitMQ(folder / "rabbitmq", erlang, settings)
        await stack.enter_async_context(broker.running())
        for name, role in CLIENTS.items():
            await add_to_rabbitmq(broker, role, name)
        yield replace(broker.address, protocol="3.1.1")


async def add_to_rabbitmq(broker: RabbitMQ, role: str, name: str) -> None:
    """Run the shipped script, with RabbitMQ's own rabbitmqctl in the place of Debian's."""
    programs = Path(RabbitMQ.program("rabbitmqctl")).parent
    settings = clean_environment(**broker.environment())
    process = await asyncio.create_subprocess_exec(
        *("sh", str(DEPLOY / "add.sh"), role, name),
        env={**settings, "PATH": f"{programs}:{settings['PATH']}"},
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
    )
    said, _ = await process.communicate(f"password of {name}".encode())
    assert process.returncode == 0, said.decode()


GUARDED = {"ejabberd": guarded_ejabberd, "rabbitmq": guarded_rabbitmq}


def known_as(address: BrokerAddress, name: str) -> BrokerAddress:
    return replace(address, username=name, password=f"password of {name}")


def may_write(address: BrokerAddress, name: str, topic: str) -> bool:
    """RabbitMQ closes the connection of a client that publishes what it may not."""
    try:
        with visiting(known_as(address, name), name, mqtt_5=address.protocol == "5") as visit:
            return visit.publish(topic, b"{}") is not Receipt.REFUSED
    except (BrokerLost, BrokerSilent):
        return False


def may_read(address: BrokerAddress, name: str, topic_filter: str) -> bool:
    try:
        with visiting(known_as(address, name), name, mqtt_5=address.protocol == "5") as visit:
            return visit.subscribe(topic_filter)
    except (BrokerLost, BrokerSilent):
        return False


def all_rights(address: BrokerAddress) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return who may publish on each topic of MAY_WRITE, and subscribe to each filter of MAY_READ."""
    writes = {topic: {name for name in CLIENTS if may_write(address, name, topic)} for topic in MAY_WRITE}
    reads = {topic: {name for name in CLIENTS if may_read(address, name, topic)} for topic in MAY_READ}
    return writes, reads


async def reply_through(address: BrokerAddress) -> str:
    """The text of one reply, from gateway to worker and back."""
    transport = MqttTransport(AiomqttLink(known_as(address, "gateway"), client_id="gateway"))
    link = AiomqttLink(known_as(address, "worker-1"), client_id="worker-1")
    async with transport.running(), Worker(ScriptedTransport(lambda _: tokens("a", "b")), link).running():
        await transport.until_ready()
        heard = await events_of(transport, ChatRequest("f" * 32, [Turn("user", "hi")]))
    return "".join(event.text for event in heard if isinstance(event, Delta))


@pytest.mark.parametrize("kind", GUARDED)
async def test_clients_may_do_what_they_must_and_nothing_else(kind: str, tmp_path: Path) -> None:
    async with asyncio.timeout(300), GUARDED[kind](tmp_path) as address:
        assert await reply_through(address) == "ab"
        writes, reads = await asyncio.to_thread(all_rights, address)
        with pytest.raises(ConnectionRefused):
            await asyncio.to_thread(may_read, replace(address, username="gateway"), "stranger", "#")
    assert writes == MAY_WRITE
    assert reads == MAY_READ
