"""Replies through real brokers, with workers that die; test_mqtt_hostile.py has the strangers."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest

from gateway.contract.errors import Unreachable, WorkerLost
from gateway.contract.events import Delta, Done, TransportEvent
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.protocol.brokers import Brokers
from tests.reading import events_of, reading
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, tokens

pytestmark = [pytest.mark.live, requires_mosquitto()]

SMALLEST_WORKER = Path(__file__).parents[2] / "deploy/examples/smallest_worker.sh"
TEXT = "Grüße, 日本語, 👩‍👩‍👧‍👦, \u2028 and \x00."


def chat(text: str) -> ChatRequest:
    return ChatRequest(uuid4().hex, [Turn("user", text)], deadline_s=60)


async def all_of(transport: MqttTransport, request: ChatRequest) -> list[TransportEvent | Done]:
    async with asyncio.timeout(120):
        return await events_of(transport, request)


def text_of(events: list[TransportEvent | Done]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def end_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


async def until(transport: MqttTransport, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await transport.presence_changed()


@asynccontextmanager
async def gateway(address: BrokerAddress) -> AsyncIterator[MqttTransport]:
    transport = MqttTransport(AiomqttLink(address, client_id="gateway"))
    async with transport.running():
        yield transport


class WorkerProcess:
    """An echo worker that can be killed."""

    def __init__(self, address: BrokerAddress, name: str) -> None:
        self._command = [sys.executable, "-m", "tests.live.echo_worker", str(address.port), name]
        self._process: Process | None = None

    async def __aenter__(self) -> "WorkerProcess":
        self._process = await asyncio.create_subprocess_exec(*self._command, cwd=Path(__file__).parents[2])
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    async def kill(self) -> None:
        """kill -9"""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_text_is_exact_with_either_version(protocol: Literal["5", "3.1.1"]) -> None:
    async with running_mosquitto() as broker:
        address = replace(broker.address, protocol=protocol)
        worker = Worker(ScriptedTransport(lambda _: tokens(*TEXT)), AiomqttLink(address, client_id="w"))
        async with gateway(address) as transport, worker.running():
            await transport.until_ready()
            assert text_of(await all_of(transport, chat("hi"))) == TEXT


async def test_text_is_exact_over_the_broker_in_python() -> None:
    async with Brokers(1).running() as brokers, brokers.of("amqtt-3.1.1") as address:
        worker = Worker(ScriptedTransport(lambda _: tokens(*TEXT)), AiomqttLink(address, client_id="w"))
        async with gateway(address) as transport, worker.running():
            await transport.until_ready()
            assert text_of(await all_of(transport, chat("hi"))) == TEXT


async def test_a_killed_worker_is_replaced_before_anything_was_seen() -> None:
    async with (
        running_mosquitto() as broker,
        gateway(broker.address) as transport,
        WorkerProcess(broker.address, "first") as first,
        asyncio.timeout(120),
    ):
        await transport.until_ready()
        spare = AiomqttLink(broker.address, client_id="second")
        async with (
            reading(transport, chat("silent")) as stream,
            Worker(ScriptedTransport(lambda _: tokens("second")), spare).running(),
        ):
            await until(transport, lambda: len(transport.workers) == 2)
            await first.kill()
            assert (await anext(stream))[0] == Delta("second")


async def test_a_killed_worker_fails_the_reply_after_something_was_seen() -> None:
    async with (
        running_mosquitto() as broker,
        gateway(broker.address) as transport,
        WorkerProcess(broker.address, "first") as first,
        asyncio.timeout(120),
    ):
        await transport.until_ready()
        async with reading(transport, chat("hold on")) as stream:
            assert await anext(stream) == [Delta("hold on")]
            await first.kill()
            with pytest.raises(WorkerLost):
                await anext(stream)


async def test_a_killed_broker_is_no_reason_to_restart_anybody() -> None:
    scripted = ScriptedTransport(
        lambda request: [[Delta("a")]] if request.turns[-1].content == "hold" else tokens("b")
    )
    async with (
        running_mosquitto() as broker,
        gateway(broker.address) as transport,
        Worker(scripted, AiomqttLink(broker.address, client_id="w")).running(),
        asyncio.timeout(120),
    ):
        await transport.until_ready()
        async with reading(transport, chat("hold")) as stream:
            await anext(stream)
            await broker.kill()
            with pytest.raises(WorkerLost):
                await anext(stream)
        with pytest.raises(Unreachable):
            transport.admit(None)
        await scripted.idle()
        await broker.start()
        await transport.until_ready()
        assert text_of(await all_of(transport, chat("again"))) == "b"


async def test_the_smallest_worker_is_a_line_of_shell() -> None:
    async with running_mosquitto() as broker, gateway(broker.address) as transport, AsyncExitStack() as stack:
        environment = {**os.environ, "MQTT_BROKER_PORT": str(broker.address.port)}
        shell = await asyncio.create_subprocess_exec(
            "/bin/sh", str(SMALLEST_WORKER), env=environment, start_new_session=True
        )
        stack.push_async_callback(shell.wait)
        stack.callback(os.killpg, shell.pid, signal.SIGKILL)
        async with asyncio.timeout(120):
            await transport.until_ready()
        assert transport.admit(None).granularity == "message"
        events = await all_of(transport, chat('"quoted"\nand 🙂'))
        said = Delta('You said: "quoted"\nand 🙂')
        assert events == [said, Done("stop", "shell", (said,))]


async def test_the_smallest_worker_says_that_it_is_lost_when_ctrl_c_ends_it() -> None:
    """The broker drops the will of a client that disconnects in order, as mosquitto_sub does then."""
    async with running_mosquitto() as broker, gateway(broker.address) as transport, AsyncExitStack() as stack:
        environment = {**os.environ, "MQTT_BROKER_PORT": str(broker.address.port)}
        shell = await asyncio.create_subprocess_exec(
            "/bin/sh", str(SMALLEST_WORKER), env=environment, start_new_session=True
        )
        stack.push_async_callback(shell.wait)
        stack.callback(end_group, shell.pid)
        async with asyncio.timeout(120):
            await transport.until_ready()
        os.killpg(shell.pid, signal.SIGINT)
        async with asyncio.timeout(120):
            await shell.wait()
        await until(transport, lambda: not any(worker.ready for worker in transport.workers))
