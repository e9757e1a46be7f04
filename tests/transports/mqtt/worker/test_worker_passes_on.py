"""A worker passes requests and replies on unchanged."""

from collections.abc import Iterable

import pytest

from gateway.contract.content import Audio, File, Image, Text
from gateway.contract.errors import NoWorker, TooLarge, UnsupportedContent, WorkerLost
from gateway.contract.events import (
    Delta,
    Done,
    FinishReason,
    Progress,
    Reasoning,
    ToolCall,
    TransportEvent,
    Usage,
)
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn
from tests.reading import reading
from tests.transports.mqtt.worker.test_worker_and_transport import (
    INBOX,
    STATUS,
    House,
    all_of,
    chat,
    mid_reply,
    until,
)
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import MessageField, RequestFrame, Status
from transports.scripted import Step, tokens

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


async def test_every_field_of_a_turn_reaches_the_model() -> None:
    heard: list[ChatRequest] = []

    def script(request: ChatRequest) -> Iterable[Step]:
        heard.append(request)
        return tokens("x")

    turns = [
        Turn("assistant", "", tool_calls=[CALL], reasoning_content="hm", name="anna"),
        Turn("tool", "4", tool_call_id="c1", name="f"),
    ]
    async with House(script).running() as house:
        await all_of(house.transport, replace(chat(), turns=turns))
    assert [turn.as_json() for turn in heard[0].turns] == [turn.as_json() for turn in turns]


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
async def test_every_reason_reaches_the_gateway(reason: FinishReason) -> None:
    async with House(lambda _: [[Delta("a")], [Done(reason)]]).running() as house:
        assert (await all_of(house.transport, chat()))[-1] == Done(reason)


async def test_what_a_model_server_says_is_the_same_behind_a_worker() -> None:
    said: list[TransportEvent | Done] = [
        Reasoning("hm"),
        Delta("a"),
        ToolCall("c1", "f", "{}"),
        Usage(3, 1, 4),
        Done("tool_calls"),
    ]
    async with House(lambda _: [said]).running() as house:
        assert await all_of(house.transport, chat()) == said


IMAGE, FILE = Image("image/png", "iVBORw==", "low"), File("a.txt", "text/plain", "SGkK")
SOUND = Audio("wav", "UklGRg==")


async def test_parts_reach_the_model() -> None:
    heard: list[ChatRequest] = []

    def script(request: ChatRequest) -> Iterable[Step]:
        heard.append(request)
        return tokens("x")

    turns = [Turn("user", (Text("Look and hear"), IMAGE, SOUND)), Turn("user", (FILE,))]
    async with House(script).running() as house:
        assert house.transport.abilities.accepts() == {"image", "audio"}
        await all_of(house.transport, replace(chat(), turns=turns))
    assert [turn.as_json() for turn in heard[0].turns] == [turn.as_json() for turn in turns]
    assert heard[0].turns[0].content == turns[0].content


async def test_parts_go_to_nobody_whose_status_does_not_accept_them() -> None:
    async with House(lambda _: tokens("x")).running() as house:
        house.scripted._abilities = replace(house.scripted.abilities, accepts=lambda: frozenset({"audio"}))
        house.worker.offer(["m"], 2)
        await until(house.transport, lambda: house.transport.abilities.accepts() == {"audio"})
        request = replace(chat(), turns=[Turn("user", (IMAGE,)), Turn("user", "So?")])
        with pytest.raises(UnsupportedContent, match="A worker over MQTT accepts no images"):
            house.transport.check(request)
        with pytest.raises(UnsupportedContent, match="A worker over MQTT accepts no images"):
            await all_of(house.transport, request)
        house.transport.check(replace(chat(), turns=[Turn("user", (SOUND,))]))
        house.transport.check(replace(chat(), turns=[Turn("user", (FILE,))]))


async def test_parts_that_cannot_be_used_are_an_error_and_the_worker_goes_on() -> None:
    async with House(lambda _: tokens("x")).running() as house:
        content = [{"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}]
        frame = RequestFrame("a" * 32, "r/gateways/gw/replies/w", [MessageField("user", content)])
        house.worker_link.deliver(INBOX, encode(frame), False)
        assert await all_of(house.transport, chat())
        (error,) = house.heard()
    assert (error.id, error.retryable) == (frame.id, False)
    assert "no address is fetched" in error.message


async def test_an_image_that_no_message_can_carry_is_refused_by_its_size() -> None:
    async with House(lambda _: tokens("x")).running() as house:
        large = Image("image/png", "A" * 400_000)
        with pytest.raises(TooLarge, match="send a shorter message or a smaller attachment"):
            house.transport.check(replace(chat(), turns=[Turn("user", (large,))]))


async def test_a_question_with_an_image_does_not_wait_when_the_only_worker_that_takes_it_leaves() -> None:
    async with mid_reply(max_concurrent=1) as (house, stream):
        house.broker.publish("r/workers/blind/status", encode(Status("ready")))
        async with reading(house.transport, replace(chat(), turns=[Turn("user", (IMAGE,))])) as waiting:
            assert await anext(waiting) == [Progress("queued", position=1)]
            house.broker.publish(STATUS, encode(Status("lost", incarnation=3)))
            with pytest.raises(NoWorker, match="the last MQTT worker that can do this has gone"):
                await anext(waiting)
        with pytest.raises(WorkerLost):
            await anext(stream)
