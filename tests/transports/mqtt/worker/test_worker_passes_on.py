"""What a gateway asks and what a model answers pass through a worker unchanged."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from gateway.contract.content import File, Image
from gateway.contract.errors import UnsupportedContent
from gateway.contract.events import Delta, Done, FinishReason, Reasoning, ToolCall, TransportEvent, Usage
from gateway.contract.requests import ChatRequest, Turn
from tests.transports.mqtt.worker.test_worker_and_transport import House, all_of, chat
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


async def test_a_worker_never_gets_a_list_of_parts() -> None:
    image, file = Image("image/png", "iVBORw=="), File("a.txt", "text/plain", "SGkK")
    async with House(lambda _: tokens("x")).running() as house:
        with pytest.raises(UnsupportedContent, match="A worker over MQTT takes no images"):
            house.transport.check(replace(chat(), turns=[Turn("user", (image,)), Turn("user", "So?")]))
        house.transport.check(replace(chat(), turns=[Turn("user", (file,))]))
