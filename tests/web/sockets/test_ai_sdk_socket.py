"""The AI SDK's WebSocket transport: send, resume, abort; under our server and under stock uvicorn."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import NoWorker
from gateway.contract.events import Delta, Done, Reasoning, ToolCall
from gateway.core.run import ABANDONED, USER_STOP
from tests.web.gateway_server import Served, served
from tests.web.http.test_any_server import SERVERS
from tests.web.sockets.page_socket import page_socket
from transports.scripted import Step

RESUMABLE = {"Sluice-Resumable": "1"}
HELLO: list[Step] = [[Reasoning("hm")], [Delta("Hel")], [Delta("lo 🙂")], [Done("stop", "tiny")]]
HEARD = ("Hello 🙂", "hm", ("complete",))

Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture(params=list(SERVERS))
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    @asynccontextmanager
    async def serve(script: Callable[[Any], list[Step]], **settings: Any) -> AsyncIterator[Served]:
        async with served(tmp_path, script, server=SERVERS[request.param], **settings) as gateway:
            yield gateway

    return serve


async def test_two_chats_on_one_socket_are_streamed_and_stored(serving: Serve) -> None:
    async with serving(lambda _: HELLO) as gateway, page_socket(gateway.url) as page:
        await page.send("r1")
        await page.send("r2", "Hello", chat="c2")
        told = [await page.heard(name) for name in ("r1", "r2")]
        stored = [await gateway.messages(session) for session in (1, 2)]
    assert [(said.text, said.reasoning, said.ends) for said in told] == [
        ("Hello 🙂", "hm", ("complete",))
    ] * 2
    assert [[message["content"] for message in messages] for messages in stored] == [
        ["Hi", "Hello 🙂"],
        ["Hello", "Hello 🙂"],
    ]


async def test_a_chat_goes_on_and_its_answer_is_regenerated(serving: Serve) -> None:
    async with serving(lambda _: HELLO) as gateway, page_socket(gateway.url) as page:
        await page.send("r1")
        await page.heard("r1")
        await page.send("r2", trigger="regenerate-message")
        assert (await page.heard("r2")).text == "Hello 🙂"
        stored = await gateway.messages()
    assert [(message["content"], message["parent_id"]) for message in stored] == [
        ("Hi", None),
        ("Hello 🙂", 1),
        ("Hello 🙂", 1),
    ]


async def test_extra_fields_of_the_body_are_those_of_the_request_over_http(serving: Serve) -> None:
    async with serving(lambda _: HELLO) as gateway, page_socket(gateway.url) as page:
        await page.send("r1", body={"temperature": 0.5, "max_tokens": 7, "id": "another"})
        await page.heard("r1")
        (request,) = gateway.transport.seen_requests
    assert (request.sampling.temperature, request.sampling.max_tokens) == (0.5, 7)


async def test_a_tool_call_is_told(serving: Serve) -> None:
    script: list[Step] = [[ToolCall("t1", "weather", '{"city":"Graz"}')], [Done("tool_calls")]]
    async with serving(lambda _: script) as gateway, page_socket(gateway.url) as page:
        await page.send("r1")
        assert (await page.heard("r1")).tools == (("weather", {"city": "Graz"}),)


async def test_a_cut_socket_is_resumed_from_the_first_chunk(serving: Serve) -> None:
    go_on = asyncio.Event()
    script: list[Step] = [[Delta("Hel")], go_on.wait, [Delta("lo")], [Done("stop")]]
    async with serving(lambda _: script) as gateway:
        async with page_socket(gateway.url) as page:
            await page.resume("r0")
            assert (await page.until("r0"))["type"] == "no-active"
            await page.send("r1", headers=RESUMABLE)
            await page.until("r1", "text-delta")
            page.connection.transport.abort()
        async with page_socket(gateway.url) as page:
            await page.resume("r2")
            await page.until("r2", "text-delta")
            go_on.set()
            said = await page.heard("r2")
            await page.resume("r3")
            assert (await page.until("r3"))["type"] == "no-active"
        stored = await gateway.messages()
    assert (said.text, stored[1]["content"]) == ("Hello", "Hello")


async def test_a_closed_socket_stops_a_reply_that_is_not_resumable(serving: Serve) -> None:
    async with serving(lambda _: [[Delta("on and on")]]) as gateway:
        async with page_socket(gateway.url) as page:
            await page.send("r1")
            await page.until("r1", "text-delta")
            (run,) = gateway.assembled.gateway.runs.of_session(1)
        await run.ended.wait()
    assert run.outcome == ABANDONED


async def test_abort_stops_the_reply_and_an_unknown_one_is_ignored(serving: Serve) -> None:
    async with serving(lambda _: [[Delta("on and on")]]) as gateway, page_socket(gateway.url) as page:
        await page.abort("nobody")
        await page.send("r1", headers=RESUMABLE)
        await page.until("r1", "text-delta")
        (run,) = gateway.assembled.gateway.runs.of_session(1)
        await page.abort("r1")
        said = await page.heard("r1")
        await page.abort("r1")
        stored = await gateway.messages()
    assert (said.ends, run.outcome) == (("cancelled",), USER_STOP)
    assert stored[1]["content"] == said.text == "on and on"


async def test_a_failed_reply_is_an_error_chunk_and_a_refused_request_an_error_frame(serving: Serve) -> None:
    async with (
        serving(lambda _: [NoWorker("No worker is ready.")]) as gateway,
        page_socket(gateway.url) as page,
    ):
        await page.send("r1")
        assert (await page.heard("r1")).error == "No worker is ready."
        await page.send("r2", messages=[])
        refused = await page.until("r2")
    assert refused["type"] == "error"
    assert refused["errorText"].startswith("The request does not fit: messages:")


async def test_a_repeated_idempotency_key_gets_the_same_reply_from_the_store(serving: Serve) -> None:
    headers = {"Idempotency-Key": "k1"}
    async with serving(lambda _: HELLO, journal_ttl_s=0) as gateway, page_socket(gateway.url) as page:
        for name in ("r1", "r2"):
            await page.send(name, headers=headers)
            assert (await page.heard(name)).text == "Hello 🙂"
        assert len(await gateway.messages()) == 2


async def test_a_long_reply_is_resumed_whole_after_the_journal_has_dropped_its_beginning(
    serving: Serve,
) -> None:
    go_on = asyncio.Event()
    words = [f"word{number} " for number in range(3000)]
    script: list[Step] = [*[[Delta(word)] for word in words], go_on.wait, [Done("stop")]]
    async with serving(lambda _: script, journal_max_bytes=4096) as gateway:
        async with page_socket(gateway.url) as page:
            await page.send("r1", headers=RESUMABLE)
            await page.until("r1", "text-delta")
        async with page_socket(gateway.url) as page:
            await page.resume("r2")
            await page.until("r2", "text-delta")
            go_on.set()
            said = await page.heard("r2")
    assert said.text == "".join(words)
