"""Many replies at once through brokers that scale, each token a message, and the broker killed in between."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.contract.errors import GatewayError, WorkerLost
from gateway.contract.events import Delta
from gateway.contract.requests import ChatRequest, Turn
from tests.brokers.kinds import KINDS, address_of
from tests.brokers.running_broker import requires_brokers
from tests.reading import events_of, reading
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step, tokens

pytestmark = [pytest.mark.live, requires_brokers()]

REPLIES, AT_ONCE, TOKENS = 300, 30, 40
WORKERS, EACH = 3, 16
HOLD = "hold"


def subscribe_qos_on(kind: str) -> int:
    """0 on ejabberd, as docs/mqtt.md advises: with 1 an accept waits for thousands of tokens, one by one."""
    return 0 if kind.startswith("ejabberd") else 1


def say_the_question(request: ChatRequest) -> Iterable[Step]:
    """TOKENS tokens that name the question; `hold` says one and goes on until it is stopped."""
    text = str(request.turns[-1].content)
    return [[Delta("held")]] if text == HOLD else tokens(*said(text))


def said(text: str) -> list[str]:
    return [f"{text}.{number} ä" for number in range(TOKENS)]


def question(text: str) -> ChatRequest:
    return ChatRequest("f" * 32, [Turn("user", text)], deadline_s=240)


class House:
    """Two gateways and WORKERS workers on one broker, as different clients.

    coalesce_s: 0 sends each token in a message of its own.
    """

    def __init__(self, address: BrokerAddress, subscribe_qos: int, coalesce_s: float = 0) -> None:
        def link(name: str) -> AiomqttLink:
            return AiomqttLink(address, client_id=name, subscribe_qos=subscribe_qos)

        self.gateways = [MqttTransport(link(f"gateway-{number}"), queue_max=REPLIES) for number in range(2)]
        self.workers = [
            Worker(
                ScriptedTransport(say_the_question),
                link(f"worker-{number}"),
                max_concurrent=EACH,
                coalesce_s=coalesce_s,
            )
            for number in range(WORKERS)
        ]

    async def enter(self, stack: AsyncExitStack) -> None:
        for worker in self.workers:
            await stack.enter_async_context(worker.running())
        for gateway in self.gateways:
            await stack.enter_async_context(gateway.running())
        await self.know_each_other()

    async def know_each_other(self) -> None:
        for gateway in self.gateways:
            while sum(worker.ready for worker in gateway.workers) < WORKERS:
                await gateway.presence_changed()

    async def ask(self, number: int) -> str | None:
        """Return what is wrong with one reply; None if it is the expected one."""
        text = f"question {number}"
        try:
            heard = await events_of(self.gateways[number % 2], question(text))
        except GatewayError as error:
            return f"{text}: {error!r}"
        reply = "".join(event.text for event in heard if isinstance(event, Delta))
        return None if reply == "".join(said(text)) else f"{text}: {reply!r}"

    async def soak(self, replies: int) -> list[str]:
        """Ask `replies` questions, AT_ONCE at a time. Return what is wrong."""
        free = asyncio.Semaphore(AT_ONCE)

        async def ask(number: int) -> str | None:
            async with free:
                return await self.ask(number)

        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(ask(number)) for number in range(replies)]
        return [wrong for task in asked if (wrong := task.result())]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_reply_arrives_whole(kind: str, tmp_path: Path) -> None:
    async with asyncio.timeout(300), KINDS[kind](tmp_path) as broker, AsyncExitStack() as stack:
        house = House(address_of(broker, kind), subscribe_qos_on(kind))
        await house.enter(stack)
        assert await house.soak(REPLIES) == []


async def test_every_coalesced_reply_arrives_whole_with_acknowledgements(tmp_path: Path) -> None:
    async with asyncio.timeout(300), KINDS["ejabberd-5"](tmp_path) as broker, AsyncExitStack() as stack:
        house = House(address_of(broker, "ejabberd-5"), subscribe_qos=1, coalesce_s=0.05)
        await house.enter(stack)
        assert await house.soak(REPLIES) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_killed_broker_ends_the_replies_and_is_used_again(kind: str, tmp_path: Path) -> None:
    async with asyncio.timeout(300), KINDS[kind](tmp_path) as broker, AsyncExitStack() as stack:
        house = House(address_of(broker, kind), subscribe_qos_on(kind))
        await house.enter(stack)
        for _ in range(2):
            async with AsyncExitStack() as readers:
                streams = [
                    await readers.enter_async_context(reading(gateway, question(HOLD)))
                    for gateway in house.gateways
                    for _ in range(8)
                ]
                for stream in streams:
                    assert await anext(stream) == [Delta("held")]
                await broker.kill()
                for stream in streams:
                    with pytest.raises(WorkerLost):
                        await anext(stream)
            await broker.start()
            await house.know_each_other()
            assert await house.soak(AT_ONCE) == []
