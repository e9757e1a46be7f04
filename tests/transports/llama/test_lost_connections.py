"""A connection that is lost in the middle of a reply, to a server that keeps the reply."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.contract.errors import TransportError, UpstreamFailed
from gateway.contract.events import Delta, Done, TransportEvent
from gateway.contract.reattach import Reattachable
from gateway.contract.record import replace
from gateway.contract.transport import Transport
from tests.contract.rigs import chat_request
from tests.live.keeping_model import KeepingModel, keeping_model
from tests.live.model_server import chunk
from transports.llama.connector import Connector
from transports.llama.http_exchange import HttpExchange
from transports.llama.servers import LlamaServers
from transports.llama.transport import LlamaTransport

ID = "c" * 32
ASK, FOLLOW, STOP = "POST /v1/chat/completions", "GET /v1/stream", "DELETE /v1/stream"


@pytest.fixture
async def model(no_task_is_left_over: None) -> AsyncIterator[KeepingModel]:
    async with asyncio.timeout(60), keeping_model() as running:
        yield running


class Heard:
    """The text of one reply so far."""

    def __init__(self) -> None:
        self.text = ""
        self._news = asyncio.Event()

    def take(self, events: Sequence[TransportEvent]) -> None:
        self.text += "".join(event.text for event in events if isinstance(event, Delta))
        self._news.set()

    async def until(self, text: str) -> None:
        while self.text != text:
            self._news.clear()
            await self._news.wait()


class RefusedConnector(Connector):
    """Tells each refused connection."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = asyncio.Semaphore(0)

    async def __call__(self, url: httpx.URL, connect_s: float | None, read_s: float | None) -> HttpExchange:
        try:
            return await super().__call__(url, connect_s, read_s)
        except httpx.ConnectError:
            self.refused.release()
            raise


@asynccontextmanager
async def replying(
    transport: Transport, *, kept: bool = True, until: str = "one "
) -> AsyncIterator[tuple[Heard, asyncio.Task[Done]]]:
    """Ask, and return when this text is there."""
    heard = Heard()
    reattachable = Reattachable(ID, lambda _: None) if kept else None
    async with transport.running():
        work = transport.answer(replace(chat_request("Hi"), reattachable=reattachable), heard.take)
        asked = asyncio.ensure_future(work)
        await heard.until(until)
        yield heard, asked
        await asyncio.wait([asked])


POOL = [LlamaTransport, lambda url: LlamaServers([(url, LlamaTransport(url))])]


@pytest.mark.parametrize("transport_to", POOL, ids=["one", "several"])
async def test_a_kept_reply_goes_on_over_another_connection(
    model: KeepingModel, transport_to: Callable[[str], Transport]
) -> None:
    async with replying(transport_to(model.url)) as (heard, asked):
        for word in ("two ", "three "):
            model.say(word)
            await heard.until(f"{heard.text}{word}")
            await model.cut()
        model.say("four")
        model.end()
        assert (await asked).reason == "stop"
    assert heard.text == "one two three four"
    assert (model.asked[ASK], model.asked[FOLLOW], model.asked[STOP]) == (1, 2, 0)


async def test_half_a_frame_is_completed_by_the_next_connection(model: KeepingModel) -> None:
    frame = chunk("two ")
    async with replying(LlamaTransport(model.url)) as (heard, asked):
        stream = model.of("Hi")
        stream.add(chunk("and ") + frame[: len(frame) // 2])
        await heard.until("one and ")
        await model.cut()
        stream.add(frame[len(frame) // 2 :])
        model.end()
        assert (await asked).reason == "stop"
    assert heard.text == "one and two "


@pytest.mark.parametrize("forget", [False, True], ids=["away", "started anew"])
async def test_a_server_that_is_gone_ends_the_reply_with_the_error_of_the_loss(
    model: KeepingModel, forget: bool
) -> None:
    async with replying(LlamaTransport(model.url)) as (heard, asked):
        await model.down(forget=forget)
        if forget:
            await model.up()
        with pytest.raises(UpstreamFailed, match="broke"):
            await asked
        if not forget:
            await model.up()
    assert heard.text == "one "


async def test_a_server_that_cannot_be_reached_for_a_moment_costs_nothing(model: KeepingModel) -> None:
    """As behind a proxy or a tunnel that starts anew."""
    connect = RefusedConnector()
    async with replying(LlamaTransport(model.url, connect=connect)) as (heard, asked):
        await model.down()
        model.say("two")
        for _ in range(3):
            await connect.refused.acquire()
        await model.up()
        model.end()
        assert (await asked).reason == "stop"
    assert heard.text == "one two"
    assert (model.asked[ASK], model.asked[STOP]) == (1, 0)


async def test_a_reply_that_is_not_kept_ends_with_its_connection(model: KeepingModel) -> None:
    async with replying(LlamaTransport(model.url), kept=False) as (_, asked):
        await model.cut()
        with pytest.raises(TransportError):
            await asked
    assert model.asked[FOLLOW] == 0


async def test_a_kept_reply_that_waits_for_a_slot_is_followed_over_another_connection(
    model: KeepingModel,
) -> None:
    model.has_slot.clear()
    async with replying(LlamaTransport(model.url), until="") as (heard, asked):
        for times in (1, 2):
            await model.until_asked(ASK if times == 1 else FOLLOW)
            await model.cut()
        await model.until_asked(FOLLOW, 2)
        model.free_slot()
        await heard.until("one ")
        model.end()
        assert (await asked).reason == "stop"
    assert (model.asked[ASK], model.asked[FOLLOW], model.asked[STOP]) == (1, 2, 0)


async def test_a_reply_that_waits_at_a_server_that_is_gone_ends_with_the_error_of_the_loss(
    model: KeepingModel,
) -> None:
    model.has_slot.clear()
    async with replying(LlamaTransport(model.url), until="") as (_, asked):
        await model.until_asked(ASK)
        await model.down(forget=True)
        with pytest.raises(UpstreamFailed, match="hung up before it answered") as raised:
            await asked
        assert raised.value.broke_off == 1, "another server may be asked"
