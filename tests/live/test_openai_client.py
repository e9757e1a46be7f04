"""OpenAI's own Python package, which must not notice that it is not the original."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionContentPartImageParam, ChatCompletionMessageParam

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.llama_server import LlamaServer, requires_llama, running_llama
from tests.live.looking import look_again
from tests.live.nursery import forked_sluice
from tests.live.test_gateway import WATCHABLE, Gateway, running_gateway, running_worker
from tests.transports.llama import captures
from tests.transports.llama.raw_server import raw_server
from transports.llama.embedded_server import tiny_model_path

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

Mode = Literal["sse", "mqtt"]
both_modes = pytest.mark.parametrize("mode", ["sse", "mqtt"])
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Tell me about the river."}]
PICTURE: ChatCompletionContentPartImageParam = {"type": "image_url", "image_url": {"url": "data:,"}}
ENDLESS = {"ignore_eos": True}


def api_of(gateway: Gateway) -> str:
    return f"{str(gateway.http.base_url).rstrip('/')}/v1"


@asynccontextmanager
async def official_client(
    tmp_path: Path, mode: Mode, **settings: str
) -> AsyncIterator[tuple[AsyncOpenAI, Gateway, LlamaServer]]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(120))
        slots = ("--parallel", "2", "--ctx-per-slot", "2048", *WATCHABLE)
        llama = await stack.enter_async_context(running_llama(tiny_model_path(), *slots))
        described = {"LLM_COMM_MODE": mode, "LLM_SERVER_URL": llama.url, **settings}
        if mode == "mqtt":
            broker = await stack.enter_async_context(running_mosquitto())
            described |= {
                "MQTT_BROKER_HOST": broker.address.host,
                "MQTT_BROKER_PORT": str(broker.address.port),
            }
            await stack.enter_async_context(running_worker(broker, llama))
        gateway = await stack.enter_async_context(running_gateway(tmp_path, **described))
        client = await stack.enter_async_context(AsyncOpenAI(base_url=api_of(gateway), api_key="none"))
        await gateway.until_ready()
        yield client, gateway, llama


@both_modes
async def test_a_completion_and_a_stream_are_what_the_database_holds(tmp_path: Path, mode: Mode) -> None:
    async with official_client(tmp_path, mode) as (client, gateway, _):
        whole = await client.chat.completions.create(model="tiny", messages=QUESTION)
        stream = await client.chat.completions.create(
            model="tiny",
            messages=QUESTION,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        kept = (await gateway.http.get("/api/chatbot/sessions/1/messages")).json()[1::2]
    assert whole.choices[0].message.content == kept[0]["content"]
    assert whole.usage is not None
    assert whole.usage.model_dump(exclude_none=True) == kept[0]["usage"]
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == kept[1]["content"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.model_dump(exclude_none=True) == kept[1]["usage"]
    assert {chunk.id for chunk in chunks} == {f"chatcmpl-{kept[1]['stream_id']}"}
    assert {chunk.model for chunk in chunks} == {"tiny"}
    assert [message["mode"] for message in kept] == [mode, mode]


@both_modes
async def test_the_streaming_helper_tells_content_and_the_final_completion(
    tmp_path: Path, mode: Mode
) -> None:
    async with (
        official_client(tmp_path, mode) as (client, _, _),
        client.chat.completions.stream(model="tiny", messages=QUESTION) as stream,
    ):
        told = [event async for event in stream]
        final = await stream.get_final_completion()
    deltas = [event.delta for event in told if event.type == "content.delta"]
    assert "".join(deltas) == final.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"


async def test_the_whole_conversation_goes_to_the_model(tmp_path: Path) -> None:
    conversation: list[ChatCompletionMessageParam] = [
        {"role": "developer", "content": "Be short."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Tell me "}, {"type": "text", "text": "more."}],
        },
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": "Tell me about the boat."},
    ]
    async with official_client(tmp_path, "sse") as (client, gateway, _):
        short = await client.chat.completions.create(model="tiny", messages=QUESTION)
        long = await client.chat.completions.create(model="tiny", messages=conversation)
        question = (await gateway.http.get("/api/chatbot/sessions/1/messages")).json()[2]
    assert question["content"] == "Tell me about the boat."
    assert short.usage is not None
    assert long.usage is not None
    assert long.usage.prompt_tokens > short.usage.prompt_tokens


async def test_a_tool_call_of_llama_cpp_is_heard_in_the_officials_words(tmp_path: Path) -> None:
    async with asyncio.timeout(120), raw_server() as llama:
        llama.answer, llama.ending = [captures.chunked("tools_required_stream")], "close"
        async with (
            running_gateway(tmp_path, LLM_SERVER_URL=llama.url) as gateway,
            AsyncOpenAI(base_url=api_of(gateway), api_key="none") as client,
        ):
            ask = client.chat.completions
            whole = await ask.create(model="tiny", messages=QUESTION)
            async with ask.stream(model="tiny", messages=QUESTION) as stream:
                final = await stream.get_final_completion()
    for completion in (whole, final):
        calls = completion.choices[0].message.tool_calls
        assert calls is not None
        assert calls[0].type == "function"
        assert json.loads(calls[0].function.arguments) == {"city": "Paris"}
        assert completion.choices[0].finish_reason == "tool_calls"


@both_modes
async def test_leaving_a_stream_frees_the_slot(tmp_path: Path, mode: Mode) -> None:
    async with official_client(tmp_path, mode) as (client, gateway, llama):
        stream = await client.chat.completions.create(
            model="tiny",
            messages=QUESTION,
            max_tokens=1500,
            stream=True,
            extra_body=ENDLESS,
        )
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()
        while await llama.busy_slots():
            await look_again()
        # The slot may be free before the row is written.
        while (kept := (await gateway.http.get("/api/chatbot/sessions/1/messages")).json()[1])[
            "status"
        ] == "streaming":
            await look_again()
    assert (kept["status"], kept["reason"]) == ("cancelled", "abandoned")


async def test_errors_raise_the_officials_exceptions(tmp_path: Path) -> None:
    async with official_client(tmp_path, "sse", UNKNOWN_MODEL="refuse") as (client, _, llama):
        ask = client.with_options(max_retries=0).chat.completions.create
        with pytest.raises(openai.BadRequestError) as none:
            await ask(model="tiny", messages=[])
        with pytest.raises(openai.BadRequestError) as several:
            await ask(model="tiny", messages=QUESTION, n=2)
        with pytest.raises(openai.BadRequestError) as image:
            await ask(model="tiny", messages=[{"role": "user", "content": [PICTURE]}])
        with pytest.raises(openai.NotFoundError) as unknown:
            await ask(model="gpt-9", messages=QUESTION)
        with pytest.raises(openai.BadRequestError) as long:
            await ask(model="tiny", messages=[{"role": "user", "content": "river " * 4000}])
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-9")
        await llama.kill()
        with pytest.raises(openai.InternalServerError) as away:
            await ask(model="tiny", messages=QUESTION)
        with pytest.raises(openai.InternalServerError) as away_streaming:
            await ask(model="tiny", messages=QUESTION, stream=True)
    assert (none.value.type, none.value.param) == ("invalid_request_error", "messages")
    assert several.value.param == "n"
    assert image.value.param == "messages.0.content.0.image_url.url"
    assert unknown.value.code == "model_not_found"
    assert long.value.code == "context_length_exceeded"
    assert (away.value.status_code, away.value.code) == (503, "unreachable")
    assert (away_streaming.value.status_code, away_streaming.value.code) == (503, "unreachable")


async def test_a_model_that_dies_in_mid_reply_raises_in_the_stream(tmp_path: Path) -> None:
    async with official_client(tmp_path, "sse") as (client, _, llama):
        stream = await client.chat.completions.create(
            model="tiny",
            messages=QUESTION,
            max_tokens=1500,
            stream=True,
            extra_body=ENDLESS,
        )

        async def kill_at_the_first_word() -> None:
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    await llama.kill()

        with pytest.raises(openai.APIError) as died:
            await kill_at_the_first_word()
    assert died.value.code == "upstream_error"


async def test_models_are_listed_and_a_raw_response_has_the_stream_id(tmp_path: Path) -> None:
    async with official_client(tmp_path, "mqtt") as (client, gateway, _):
        models = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("tiny")
        raw = await client.chat.completions.with_raw_response.create(model="tiny", messages=QUESTION)
        stream_id = raw.headers["sluice-stream-id"]
        stopped = await gateway.http.post(f"/messages/stream/{stream_id}/stop")
        again = await client.chat.completions.create(
            model="tiny",
            messages=QUESTION,
            extra_headers={"Sluice-Session": "1"},
        )
        kept = (await gateway.http.get("/api/chatbot/sessions/1/messages")).json()
    assert (models, one.id, one.owned_by) == (["tiny"], "tiny", "sluice")
    assert stopped.json()["status"] == "complete"
    assert [message["content"] for message in kept][-1] == again.choices[0].message.content
    assert len(kept) == 4


async def test_a_key_that_is_none_raises_authentication_error(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    async with forked_sluice("keys", "create", "--user", "ada", DATABASE_URL=database) as creating:
        await creating.ended()
    key = next(word for word in creating.said.split() if word.startswith("sk-"))
    async with official_client(tmp_path, "sse") as (client, _, _):
        with pytest.raises(openai.AuthenticationError) as wrong:
            await client.models.list()
        models = await client.with_options(api_key=key).models.list()
    assert wrong.value.code == "invalid_api_key"
    assert [model.id for model in models.data] == ["tiny"]
