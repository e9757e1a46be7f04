"""OpenAI's chat completions through its own package, of version 2 and of the newest."""

import functools
import json

import openai
from case import REAL, SCRIPTED, Asking, Received, case, raised
from openai import AsyncOpenAI
from pydantic import BaseModel

AREA = "chat completions"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


class City(BaseModel):
    city: str


def client(ask: Asking) -> AsyncOpenAI:
    return _client(ask.url)


@functools.cache
def _client(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=30)


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


@case("openai", AREA, "whole")
async def whole(ask: Asking) -> Received:
    answer = await client(ask).chat.completions.create(model=REAL, messages=user("Tell me about the river."))
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens > 0
    return [("complete", answer.choices[0].message.content)]


@case("openai", AREA, "stream")
async def stream(ask: Asking) -> Received:
    chunks = await client(ask).chat.completions.create(
        model=REAL,
        messages=user("Tell me about the river."),
        stream=True,
        stream_options={"include_usage": True},
    )
    text, ends, usage = "", [], None
    async for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            ends += [choice.finish_reason] if choice.finish_reason else []
        usage = chunk.usage or usage
    assert ends == ["stop"]
    assert usage.completion_tokens > 0
    return [("complete", text)]


@case("openai", AREA, "stream helper")
async def helper(ask: Asking) -> Received:
    said = ""
    async with client(ask).chat.completions.stream(model=SCRIPTED, messages=user(ask("say"))) as events:
        async for event in events:
            if event.type == "content.delta":
                said += event.delta
        final = await events.get_final_completion()
    assert said == final.choices[0].message.content
    return [("complete", said)]


@case("openai", AREA, "parse")
async def parse(ask: Asking) -> Received:
    answer = await client(ask).chat.completions.parse(
        model=SCRIPTED, messages=user(ask("json")), response_format=City
    )
    assert answer.choices[0].message.parsed.city == ask.name
    return [("complete", answer.choices[0].message.content)]


@case("openai", AREA, "tool round")
async def tools(ask: Asking) -> Received:
    messages = user(ask("call"))
    asked = client(ask).chat.completions
    first = await asked.create(model=SCRIPTED, messages=messages, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    second = await asked.create(model=SCRIPTED, messages=messages, tools=[WEATHER])
    assert "sunny" in second.choices[0].message.content
    return [("complete", ""), ("complete", second.choices[0].message.content)]


@case("openai", AREA, "tool round, streamed")
async def tools_streamed(ask: Asking) -> Received:
    messages = user(ask("call"))
    asked = client(ask).chat.completions
    async with asked.stream(model=SCRIPTED, messages=messages, tools=[WEATHER]) as events:
        first = await events.get_final_completion()
    (call,) = first.choices[0].message.tool_calls
    assert call.function.parsed_arguments == {"city": "Paris"}
    message = first.choices[0].message.model_dump(include={"role", "content", "tool_calls"})
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    async with asked.stream(model=SCRIPTED, messages=messages, tools=[WEATHER]) as events:
        second = await events.get_final_completion()
    assert "sunny" in second.choices[0].message.content
    return [("complete", second.choices[0].message.content)]


@case("openai", AREA, "image")
async def image(ask: Asking) -> Received:
    parts = [
        {"type": "text", "text": ask("look")},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    answer = await client(ask).chat.completions.create(
        model=SCRIPTED, messages=[{"role": "user", "content": parts}]
    )
    assert "1 image" in answer.choices[0].message.content
    return [("complete", answer.choices[0].message.content)]


@case("openai", AREA, "stop")
async def stop(ask: Asking) -> Received:
    chunks = await client(ask).chat.completions.create(
        model=SCRIPTED, messages=user(ask("hold")), stream=True
    )
    text = ""
    async for chunk in chunks:
        text += chunk.choices[0].delta.content or ""
        if text:
            break
    await chunks.close()
    return [("cancelled", text)]


@case("openai", AREA, "error before the first token")
async def refused(ask: Asking) -> Received:
    asked = client(ask).chat.completions
    for streams in (False, True):
        for command, expected in (("refuse", openai.BadRequestError), ("fail", openai.InternalServerError)):
            asking = asked.create(model=SCRIPTED, messages=user(ask(command)), stream=streams)
            assert (await raised(expected, asking)).type
    return [("failed", "")]


@case("openai", AREA, "error after it")
async def broken(ask: Asking) -> Received:
    said = ""

    async def hear() -> None:
        nonlocal said
        async for chunk in await client(ask).chat.completions.create(
            model=SCRIPTED, messages=user(ask("break")), stream=True
        ):
            said += chunk.choices[0].delta.content or ""

    assert (await raised(openai.APIError, hear())).message
    return [("failed", said)]


@case("openai", "completions", "whole; stream")
async def completions(ask: Asking) -> Received:
    prompt = "Tell me about the"
    whole = await client(ask).completions.create(model=REAL, prompt=prompt, max_tokens=20)
    text = ""
    async for piece in await client(ask).completions.create(
        model=REAL, prompt=prompt, max_tokens=20, stream=True
    ):
        text += piece.choices[0].text
    return [("complete", whole.choices[0].text), ("complete", text)]


@case("openai", "embeddings", "create")
async def embeddings(ask: Asking) -> Received:
    made = await client(ask).embeddings.create(model=REAL, input=["Where is the boat?", ask("say")])
    as_floats = await client(ask).embeddings.create(
        model=REAL, input=["Where is the boat?", ask("say")], encoding_format="float"
    )
    assert [item.index for item in made.data] == [0, 1]
    assert [item.embedding for item in made.data] == [item.embedding for item in as_floats.data]
    return []


@case("openai", AREA, "models")
async def models(ask: Asking) -> Received:
    listed = [model.id async for model in client(ask).models.list()]
    assert sorted(listed) == [SCRIPTED, REAL]
    assert (await client(ask).models.retrieve(REAL)).id == REAL
    return []
