"""Ollama's own Python package."""

import functools

from case import REAL, SCRIPTED, Asking, Received, case, raised, read
from ollama import AsyncClient, ResponseError
from openai_chat import PIXEL

AREA = "chat"


client = functools.cache(AsyncClient)


def weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


@case("ollama", AREA, "whole")
async def whole(ask: Asking) -> Received:
    answer = await client(ask.url).chat(REAL, user("Tell me about the river."))
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert answer.eval_count > 0
    return [("complete", answer.message.content)]


@case("ollama", AREA, "stream")
async def stream(ask: Asking) -> Received:
    text = ""
    async for part in await client(ask.url).chat(REAL, user("Tell me about the river."), stream=True):
        text += part.message.content
    assert part.done
    return [("complete", text)]


@case("ollama", AREA, "thinking")
async def thinking(ask: Asking) -> Received:
    text, thought = "", ""
    async for part in await client(ask.url).chat(SCRIPTED, user(ask("think")), stream=True, think=True):
        text += part.message.content
        thought += part.message.thinking or ""
    assert thought
    whole = await client(ask.url).chat(SCRIPTED, user(ask("think")), think=True)
    assert (whole.message.content, whole.message.thinking) == (text, thought)
    return [("complete", text)]


@case("ollama", AREA, "format")
async def formatted(ask: Asking) -> Received:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    answer = await client(ask.url).chat(SCRIPTED, user(ask("json")), format=schema)
    return [("complete", answer.message.content)]


async def tool_round(ask: Asking, *, stream: bool) -> Received:
    messages = user(ask("call"))
    asked = client(ask.url)
    first = await asked.chat(SCRIPTED, messages, tools=[weather], stream=stream)
    parts = [part async for part in first] if stream else [first]
    (call,) = [call for part in parts for call in part.message.tool_calls or ()]
    assert call.function.arguments == {"city": "Paris"}
    messages += [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": weather(**call.function.arguments), "tool_name": call.function.name},
    ]
    second = await asked.chat(SCRIPTED, messages, tools=[weather], stream=stream)
    parts = [part async for part in second] if stream else [second]
    text = "".join(part.message.content for part in parts)
    assert "sunny" in text
    return [("complete", text)]


@case("ollama", AREA, "tool round")
async def tools(ask: Asking) -> Received:
    return await tool_round(ask, stream=False)


@case("ollama", AREA, "tool round, streamed")
async def tools_streamed(ask: Asking) -> Received:
    return await tool_round(ask, stream=True)


@case("ollama", AREA, "image")
async def image(ask: Asking) -> Received:
    message = {"role": "user", "content": ask("look"), "images": [PIXEL]}
    answer = await client(ask.url).chat(SCRIPTED, [message])
    assert "1 image" in answer.message.content
    return [("complete", answer.message.content)]


@case("ollama", AREA, "stop")
async def stop(ask: Asking) -> Received:
    parts = await client(ask.url).chat(SCRIPTED, user(ask("hold")), stream=True)
    async for part in parts:
        if part.message.content:
            await parts.aclose()
            return [("cancelled", part.message.content)]
    raise AssertionError("no text came")


@case("ollama", AREA, "error before the first token")
async def refused(ask: Asking) -> Received:
    for command, statuses in (("refuse", range(400, 500)), ("fail", range(500, 600))):
        whole = client(ask.url).chat(SCRIPTED, user(ask(command)))
        streamed = read(await client(ask.url).chat(SCRIPTED, user(ask(command)), stream=True))
        for asking in (whole, streamed):
            error = await raised(ResponseError, asking)
            assert error.status_code in statuses
            assert error.error
    return [("failed", "")]


@case("ollama", AREA, "error after it")
async def broken(ask: Asking) -> Received:
    said = ""

    async def hear() -> None:
        nonlocal said
        async for part in await client(ask.url).chat(SCRIPTED, user(ask("break")), stream=True):
            said += part.message.content

    assert (await raised(ResponseError, hear())).error
    return [("failed", said)]


@case("ollama", "generate", "whole, stream")
async def generate(ask: Asking) -> Received:
    whole = await client(ask.url).generate(REAL, "Tell me about the boat.")
    text = ""
    async for part in await client(ask.url).generate(SCRIPTED, ask("say"), stream=True):
        text += part.response
    return [("complete", whole.response), ("complete", text)]


@case("ollama", "embed", "embed, embeddings")
async def embed(ask: Asking) -> Received:
    made = await client(ask.url).embed(REAL, "Where is the boat?")
    older = await client(ask.url).embeddings(REAL, "Where is the boat?")
    assert [list(older.embedding)] == [list(vector) for vector in made.embeddings]
    return []


@case("ollama", "models", "list, ps, show")
async def models(ask: Asking) -> Received:
    asked = client(ask.url)
    assert sorted(model.model for model in (await asked.list()).models) == [SCRIPTED, REAL]
    assert sorted(model.model for model in (await asked.ps()).models) == [SCRIPTED, REAL]
    assert "completion" in (await asked.show(REAL)).capabilities
    return []
