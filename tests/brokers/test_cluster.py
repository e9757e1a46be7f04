"""Two nodes of ejabberd in a cluster: the gateway on one, its worker on the other, and one of them killed."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.contract.errors import WorkerLost
from gateway.contract.events import Delta, Done
from gateway.contract.reattach import Reattachable
from gateway.contract.requests import ChatRequest, Turn
from tests.brokers.ejabberd import Ejabberd
from tests.brokers.erlang import Erlang
from tests.brokers.first_of import first_of
from tests.brokers.running_broker import requires_brokers
from tests.reading import events_of, reading
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step, tokens

pytestmark = [pytest.mark.live, requires_brokers()]

HEARTBEAT_S = 60.0
"""Longer than the test waits: nothing here may depend on a heartbeat."""


class Model:
    """Says "held " and, when `go_on` is set, "and the rest"."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    def script(self, request: ChatRequest) -> Iterable[Step]:
        if request.turns[-1].content != "hold":
            return tokens("a", "b")
        return [[Delta("held ")], self.go_on.wait, *tokens("and ", "the ", "rest")]


def question(text: str, *, kept: bool = False) -> ChatRequest:
    reattachable = Reattachable("c" * 32, lambda _: None) if kept else None
    return ChatRequest("f" * 32, [Turn("user", text)], deadline_s=240, reattachable=reattachable)


@dataclass
class Cluster:
    """gateway_node, worker_node: the nodes that these use while both live."""

    gateway_node: Ejabberd
    worker_node: Ejabberd
    transport: MqttTransport
    model: Model

    async def answers(self) -> None:
        await self.transport.until_ready()
        assert await events_of(self.transport, question("hi")) == [Delta("a"), Delta("b"), Done("stop")]


def client(address: BrokerAddress, name: str) -> AiomqttLink:
    return AiomqttLink(BrokerAddress(address.host, address.port, name, "any", protocol="5"), client_id=name)


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(asyncio.timeout(300))
        erlang = await enter(Erlang(folder).running())
        first = await enter(Ejabberd(folder / "first", erlang, name="first").running())
        second = await enter(Ejabberd(folder / "second", erlang, name="second").running())
        await second.join(first)
        worker_link = client(await enter(first_of([second.address, first.address])), "worker")
        gateway_link = client(await enter(first_of([first.address, second.address])), "gateway")
        model = Model()
        await enter(announced_worker(model, worker_link, second.address))
        transport = MqttTransport(gateway_link, heartbeat_s=HEARTBEAT_S)
        await enter(transport.running())
        yield Cluster(first, second, transport, model)


@asynccontextmanager
async def announced_worker(model: Model, link: AiomqttLink, address: BrokerAddress) -> AsyncIterator[None]:
    """A worker whose retained status is with its broker."""
    announced = asyncio.Event()
    watcher = client(address, "watcher")
    watcher.subscribe("sluice/v1/workers/+/status", lambda *_: announced.set())
    worker = Worker(ScriptedTransport(model.script), link, heartbeat_s=HEARTBEAT_S)
    async with worker.running():
        async with watcher.running():
            await announced.wait()
        yield


async def test_gateway_and_worker_meet_across_nodes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with cluster(tmp_path) as nodes:
        await nodes.answers()
    assert "does not send retained statuses" in caplog.text


@pytest.mark.parametrize("killed", ["worker_node", "gateway_node"])
async def test_a_killed_node_ends_its_replies_and_the_next_are_answered(killed: str, tmp_path: Path) -> None:
    async with cluster(tmp_path) as nodes:
        await nodes.answers()
        async with reading(nodes.transport, question("hold")) as stream:
            assert await anext(stream) == [Delta("held ")]
            await getattr(nodes, killed).kill()
            with pytest.raises(WorkerLost):
                await anext(stream)
        await nodes.answers()


@pytest.mark.parametrize("killed", ["worker_node", "gateway_node"])
async def test_a_kept_reply_goes_on_when_a_node_is_killed(killed: str, tmp_path: Path) -> None:
    async with cluster(tmp_path) as nodes:
        await nodes.transport.until_ready()
        async with reading(nodes.transport, question("hold", kept=True)) as stream:
            assert await anext(stream) == [Delta("held ")]
            await getattr(nodes, killed).kill()
            nodes.model.go_on.set()
            rest = [event async for batch in stream for event in batch]
    assert "".join(event.text for event in rest if isinstance(event, Delta)) == "and the rest"
    assert rest[-1] == Done("stop")
