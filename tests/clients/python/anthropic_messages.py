"""Anthropic's Messages through its own package, of version 0.75 and of the newest."""

import functools

import anthropic
from anthropic import AsyncAnthropic, beta_async_tool
from case import REAL, SCRIPTED, Asking, Received, case, raised
from openai_chat import PIXEL

AREA = "Messages"
WEATHER = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def client(ask: Asking) -> AsyncAnthropic:
    return _client(ask.url)


@functools.cache
def _client(url: str) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=url, api_key="none", max_retries=0, timeout=30)


def asked(text: str, **more) -> dict:
    return {
        "model": SCRIPTED,
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": text}],
        **more,
    }


@case("anthropic", AREA, "whole")
async def whole(ask: Asking) -> Received:
    answer = await client(ask).messages.create(**asked("Tell me about the river.", model=REAL))
    assert (answer.stop_reason, answer.role) == ("end_turn", "assistant")
    assert answer.usage.output_tokens > 0
    return [("complete", answer.content[0].text)]


@case("anthropic", AREA, "stream")
async def stream(ask: Asking) -> Received:
    kinds, text = [], ""
    async for event in await client(ask).messages.create(
        **asked("Tell me about the river.", model=REAL, stream=True)
    ):
        kinds.append(event.type)
        if event.type == "content_block_delta":
            text += event.delta.text
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    return [("complete", text)]


@case("anthropic", AREA, "stream helper")
async def helper(ask: Asking) -> Received:
    async with client(ask).messages.stream(**asked(ask("say"))) as events:
        said = "".join([text async for text in events.text_stream])
        final = await events.get_final_message()
    assert final.content[0].text == said
    assert final.stop_reason == "end_turn"
    return [("complete", said)]


@case("anthropic", AREA, "thinking")
async def thinking(ask: Asking) -> Received:
    question = asked(ask("think"), thinking={"type": "enabled", "budget_tokens": 1024})
    whole = await client(ask).messages.create(**question)
    async with client(ask).messages.stream(**question) as events:
        final = await events.get_final_message()
    for message in (whole, final):
        assert [block.type for block in message.content] == ["thinking", "text"]
        assert message.content[0].thinking
    question["messages"] += [
        {"role": "assistant", "content": final.content},
        {"role": "user", "content": ask("say", " again")},
    ]
    second = await client(ask).messages.create(**question)
    return [("complete", final.content[1].text), ("complete", second.content[0].text)]


@case("anthropic", AREA, "image")
async def image(ask: Asking) -> Received:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    blocks = [{"type": "image", "source": source}, {"type": "text", "text": ask("look")}]
    answer = await client(ask).messages.create(**asked(blocks))
    assert "1 image" in answer.content[0].text
    return [("complete", answer.content[0].text)]


@case("anthropic", AREA, "tool round")
async def tools(ask: Asking) -> Received:
    question = asked(ask("call"), tools=[WEATHER])
    first = await client(ask).messages.create(**question)
    assert first.stop_reason == "tool_use"
    (call,) = [block for block in first.content if block.type == "tool_use"]
    assert call.input == {"city": "Paris"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    question["messages"] += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    second = await client(ask).messages.create(**question)
    assert "sunny" in second.content[0].text
    return [("complete", second.content[0].text)]


@case("anthropic", AREA, "tool round, streamed")
async def tools_streamed(ask: Asking) -> Received:
    question = asked(ask("call"), tools=[WEATHER])
    async with client(ask).messages.stream(**question) as events:
        first = await events.get_final_message()
    (call,) = [block for block in first.content if block.type == "tool_use"]
    assert call.input == {"city": "Paris"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sunny"}]}
    question["messages"] += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    async with client(ask).messages.stream(**question) as events:
        second = await events.get_final_message()
    assert "sunny" in second.content[0].text
    return [("complete", second.content[0].text)]


@case("anthropic", AREA, "tool runner")
async def runner(ask: Asking) -> Received:
    cities = []

    @beta_async_tool
    async def weather(city: str) -> str:
        """The weather in a city."""
        cities.append(city)
        return "sunny"

    runner = client(ask).beta.messages.tool_runner(**asked(ask("call")), tools=[weather])
    final = await runner.until_done()
    assert cities == ["Paris"]
    assert "sunny" in final.content[0].text
    return [("complete", final.content[0].text)]


@case("anthropic", AREA, "tool runner, streamed")
async def runner_streamed(ask: Asking) -> Received:
    @beta_async_tool
    async def weather(city: str) -> str:
        """The weather in a city."""
        return "sunny"

    texts = []
    async for events in client(ask).beta.messages.tool_runner(
        **asked(ask("call")), tools=[weather], stream=True
    ):
        final = await events.get_final_message()
        texts.append("".join(block.text for block in final.content if block.type == "text"))
    assert "sunny" in texts[-1]
    return [("complete", texts[-1])]


@case("anthropic", AREA, "stop")
async def stop(ask: Asking) -> Received:
    async with client(ask).messages.stream(**asked(ask("hold"))) as events:
        async for text in events.text_stream:
            return [("cancelled", text)]
    raise AssertionError("no text came")


@case("anthropic", AREA, "error before the first token")
async def refused(ask: Asking) -> Received:
    for command, expected in (("refuse", anthropic.BadRequestError), ("fail", anthropic.InternalServerError)):
        for streams in (False, True):
            asking = client(ask).messages.create(**asked(ask(command), stream=streams))
            assert (await raised(expected, asking)).body["error"]["type"]
    return [("failed", "")]


@case("anthropic", AREA, "error after it")
async def broken(ask: Asking) -> Received:
    said = ""

    async def hear() -> None:
        nonlocal said
        async with client(ask).messages.stream(**asked(ask("break"))) as events:
            async for text in events.text_stream:
                said += text

    assert (await raised(anthropic.APIStatusError, hear())).body["error"]["type"]
    return [("failed", said)]


@case("anthropic", AREA, "count_tokens")
async def count(ask: Asking) -> Received:
    said = [{"role": "user", "content": "Tell me about the river."}]
    counted = await client(ask).messages.count_tokens(model=REAL, messages=said)
    assert counted.input_tokens > 5
    return []


@case("anthropic", AREA, "models")
async def models(ask: Asking) -> Received:
    listed = [model.id async for model in client(ask).models.list()]
    assert sorted(listed) == [SCRIPTED, REAL]
    return []
