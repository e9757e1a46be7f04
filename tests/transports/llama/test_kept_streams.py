"""Streams that the model server keeps: when the transport stops them, and when not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.contract.errors import Interrupted, TimedOut
from gateway.contract.events import Done, TransportEvent
from gateway.contract.reattach import Handle, Reattach, Reattachable
from gateway.contract.record import replace
from gateway.contract.transport import Abilities, Health, Hear, Transport
from tests.contract.rigs import chat_request
from tests.live.keeping_model import KeepingModel, Stream, keeping_model
from tests.transports.llama.raw_server import raw_server
from transports.llama import kept_streams
from transports.llama.continued_stream import ContinuedStream
from transports.llama.servers import LlamaServers
from transports.llama.transport import LlamaTransport
from transports.scripted import ScriptedTransport

ID = "c" * 32
HANDLE = {"conversation_id": ID}
STOP = "DELETE /v1/stream"


@pytest.fixture
async def model(no_task_is_left_over: None) -> AsyncIterator[KeepingModel]:
    async with asyncio.timeout(60), keeping_model() as running:
        yield running


@asynccontextmanager
async def replying(transport: LlamaTransport, kept: Reattachable) -> AsyncIterator[None]:
    """Ask, wait for the first text, and cancel the reply behind the block."""
    first = asyncio.Event()

    def hear(_: Sequence[TransportEvent]) -> None:
        first.set()

    work = transport.answer(replace(chat_request("Hi"), reattachable=kept), hear)
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(work)
        await first.wait()
        yield
        asked.cancel()


async def test_a_cancelled_reply_is_stopped(model: KeepingModel) -> None:
    transport = LlamaTransport(model.url)
    async with transport.running():
        async with replying(transport, Reattachable(ID, lambda _: None)):
            assert ID in model.streams
        await model.until_asked(STOP)
    assert model.streams == {}


async def test_one_that_another_gateway_receives_is_not_stopped(model: KeepingModel) -> None:
    transport = LlamaTransport(model.url)
    async with transport.running():
        async with replying(transport, Reattachable(ID, lambda _: None, is_left=lambda: True)):
            pass
        heard: list[TransportEvent] = []
        wanted = Reattach("s", HANDLE, 1, 30.0, Reattachable(ID, lambda _: None))
        model.end()
        hear: Hear = heard.extend
        await transport.abilities.reattach(wanted, hear)
    assert model.asked[STOP] == 0


async def test_a_reply_is_stopped_by_its_handle_once(model: KeepingModel) -> None:
    first, second = LlamaTransport(model.url), LlamaTransport(model.url)
    async with first.running(), second.running():
        async with replying(first, Reattachable(ID, lambda _: None, is_left=lambda: True)):
            pass
        second.abilities.stop(HANDLE, 1)
        second.abilities.stop(HANDLE, 1)
        await model.until_asked(STOP)
    assert (model.asked[STOP], model.streams) == (1, {})


@pytest.mark.parametrize("handle", [{}, {"conversation_id": 7}, {"conversation_id": "x&from=1"}], ids=str)
async def test_a_handle_of_something_else_stops_nothing(model: KeepingModel, handle: Handle) -> None:
    transport = LlamaTransport(model.url)
    async with transport.running():
        transport.abilities.stop(handle, 1)
    assert model.asked[STOP] == 0


async def test_of_several_servers_the_noted_one_is_asked_and_else_all(model: KeepingModel) -> None:
    async with keeping_model() as other:
        addresses = [each.url.removeprefix("http://") for each in (model, other)]
        servers = LlamaServers([(each.url, LlamaTransport(each.url)) for each in (model, other)])
        async with servers.running():
            servers.abilities.stop({**HANDLE, "server": addresses[1]}, 1)
            await other.until_asked(STOP)
            assert model.asked[STOP] == 0
            servers.abilities.stop({"conversation_id": "d" * 32}, 1)
            await model.until_asked(STOP)
            await other.until_asked(STOP, 2)


@asynccontextmanager
async def reattaching(transport: Transport, find_within_s: float) -> AsyncIterator[asyncio.Task[Done]]:
    wanted = Reattach("s", HANDLE, 1, 30.0, Reattachable(ID, lambda _: None), find_within_s=find_within_s)
    task = asyncio.ensure_future(transport.abilities.reattach(wanted, lambda _: None))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_frozen_server_is_given_up_in_time(model: KeepingModel) -> None:
    async with raw_server() as frozen:
        transport = LlamaTransport(frozen.url)
        async with transport.running(), reattaching(transport, 0.01) as reply:
            with pytest.raises(TimedOut, match="does not answer"):
                await reply


async def test_a_silent_reply_is_found(model: KeepingModel) -> None:
    model.streams[ID] = Stream("Hi")
    found = asyncio.Event()
    transport = LlamaTransport(model.url)
    async with transport.running():
        wanted = Reattach("s", HANDLE, 1, 30.0, Reattachable(ID, lambda _: None))
        stream = ContinuedStream(transport._streams, ID, wanted, lambda _: None, 1.0)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(stream.done(found=found.set))
            await found.wait()
            following.cancel()


async def test_a_stream_that_ends_without_its_end_is_asked_for_with_pauses(model: KeepingModel) -> None:
    stream = model.streams[ID] = Stream("Hi")
    stream.say("one ")
    stream.add(b"", ended=True)
    asked: list[int] = []

    async def sleep(seconds: float) -> None:
        assert seconds > 0
        asked.append(model.asked["GET /v1/stream"])
        if len(asked) == 2:
            del model.streams[ID]

    transport = LlamaTransport(model.url)
    async with transport.running():
        wanted = Reattach("s", HANDLE, 1, 30.0, Reattachable(ID, lambda _: None))
        following = ContinuedStream(transport._streams, ID, wanted, lambda _: None, 1.0, sleep)
        with pytest.raises(Interrupted):
            await following.done(found=lambda: None)
    assert asked == [2, 3]


async def test_of_several_servers_those_that_are_away_are_asked_last() -> None:
    asked: list[tuple[str, float]] = []

    def server(name: str, *, is_well: bool) -> Transport:
        async def health() -> Health:
            return Health(is_well, "")

        async def reattach(wanted: Reattach, _: Hear) -> Done:
            asked.append((name, wanted.find_within_s))
            raise Interrupted("gone")

        return ScriptedTransport(lambda _: (), abilities=Abilities(health=health, reattach=reattach))

    servers = LlamaServers(
        [("http://a", server("a", is_well=False)), ("http://b", server("b", is_well=True))], quiet=True
    )
    async with servers.running():
        wanted = Reattach("s", HANDLE, 1, 30.0, Reattachable(ID, lambda _: None), find_within_s=6.0)
        with pytest.raises(Interrupted):
            await servers.abilities.reattach(wanted, lambda _: None)
    assert asked == [("b", 3.0), ("a", 3.0)]


async def test_a_stop_is_repeated_until_a_server_that_was_away_is_back(
    model: KeepingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = asyncio.Event()

    async def sleep(_: float) -> None:
        tried.set()
        await asyncio.sleep(0)

    monkeypatch.setattr(kept_streams, "LAST_STOPS_S", 60)
    transport = LlamaTransport(model.url)
    transport._streams._sleep = sleep
    async with transport.running():
        async with replying(transport, Reattachable(ID, lambda _: None, is_left=lambda: True)):
            pass
        await model.down()
        transport.abilities.stop(HANDLE, 1)
        await tried.wait()
        await model.up()
    assert model.streams == {}
