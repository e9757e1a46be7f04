"""A worker whose connection to its model server is lost in the middle of a kept reply."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.contract.errors import WorkerLost
from tests.live.keeping_model import KeepingModel, keeping_model
from tests.transports.mqtt.kept_house import INBOX, Gateway, House, in_two_halves
from transports.llama.servers import LlamaServers
from transports.llama.transport import LlamaTransport
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import CancelFrame

ASK, FOLLOW, STOP = "POST /v1/chat/completions", "GET /v1/stream", "DELETE /v1/stream"


@asynccontextmanager
async def worker_of(model: KeepingModel) -> AsyncIterator[tuple[House, Gateway]]:
    served = LlamaServers([(model.url, LlamaTransport(model.url))])
    async with House(in_two_halves, served).running() as house, house.gateway() as gateway:
        yield house, gateway


@pytest.fixture
async def model(no_task_is_left_over: None) -> AsyncIterator[KeepingModel]:
    async with asyncio.timeout(60), keeping_model() as running:
        yield running


async def test_the_worker_follows_the_reply_over_another_connection(model: KeepingModel) -> None:
    async with worker_of(model) as (_, gateway):
        reply = gateway.ask()
        await reply.until("one ")
        await model.cut()
        await model.until_asked(FOLLOW)
        model.say("two")
        model.end()
        await reply.end()
    assert (reply.text, reply.error) == ("one two", None)
    assert (model.asked[ASK], model.asked[STOP]) == (1, 0)


async def test_a_reply_that_waits_for_a_slot_is_followed_too(model: KeepingModel) -> None:
    model.has_slot.clear()
    async with worker_of(model) as (_, gateway):
        reply = gateway.ask()
        await model.until_asked(ASK)
        await model.cut()
        await model.until_asked(FOLLOW)
        model.free_slot()
        model.end()
        await reply.end()
    assert (reply.text, reply.error) == ("one ", None)
    assert model.asked[ASK] == 1


async def test_a_stop_is_one_at_the_model_server(model: KeepingModel) -> None:
    async with worker_of(model) as (house, gateway):
        reply = gateway.ask()
        await reply.until("one ")
        await reply.stop()
        await house.worker.idle()
        await model.until_asked(STOP)
    assert model.streams == {}


async def test_a_reply_that_no_other_gateway_may_get_is_not_kept_by_the_server(model: KeepingModel) -> None:
    async with worker_of(model) as (_, gateway):
        reply = gateway.ask(keep_s=0)
        await model.until_asked(ASK)
        assert model.streams == {}
        await reply.stop()


async def test_a_worker_that_was_killed_and_started_anew_stops_what_it_had_asked_for(
    model: KeepingModel,
) -> None:
    """The server goes on with a kept reply when its client is gone: it would occupy a slot to its end."""
    async with worker_of(model) as (_, gateway):
        reply = gateway.ask()
        await reply.until("one ")
        (id,) = model.streams
        model.streams["f" * 32] = model.streams[id]  # as of a worker that was killed
        gateway.link.publish(INBOX, encode(CancelFrame("f" * 32)))
        await model.until_asked(STOP)
        assert list(model.streams) == [id]
        await reply.stop()


async def test_a_server_that_is_gone_ends_the_reply(model: KeepingModel) -> None:
    async with worker_of(model) as (_, gateway):
        reply = gateway.ask()
        await reply.until("one ")
        await model.down(forget=True)
        await reply.end()
    assert reply.text == "one "
    assert reply.error is not None
    assert not isinstance(reply.error, WorkerLost)
