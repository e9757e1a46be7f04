"""One gateway in front of three real llama.cpp servers, of which one is killed and one is frozen."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.llama_server import LlamaServer, random_model, requires_llama, running_llama
from tests.live.looking import look_again
from tests.live.test_gateway import Gateway, running_gateway
from tests.web.gateway_server import STREAM

pytestmark = [pytest.mark.live, requires_llama()]

LONG: dict[str, Any] = {"content": "go on", "max_tokens": 30_000, "options": {"ignore_eos": True}}
SHORT: dict[str, Any] = {"content": "hi", "max_tokens": 3, "options": {"ignore_eos": True}}


SLOWLY = ("--tokens-per-s", "100")  # no reply of 1,000 tokens ends before its server is killed


async def events_in(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


async def said(events: AsyncIterator[dict[str, Any]], *kinds: str) -> dict[str, Any]:
    async for event in events:
        if event["type"] in kinds:
            return event
    raise AssertionError(f"it ended without {kinds}")


async def test_another_server_goes_on_and_the_end_tells_where(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(300),
        running_llama(random_model(), "--ctx-per-slot", "4096", *SLOWLY) as first,
        running_llama(random_model(), "--ctx-per-slot", "4096", *SLOWLY) as second,
        running_gateway(tmp_path, LLM_SERVER_URL=f"{first.url},{second.url}") as gateway,
    ):
        asked = {**LONG, "max_tokens": 1_000, "continue_on_failure": True}
        async with gateway.http.stream("POST", STREAM, json=asked) as response:
            events = events_in(response)
            heard = [await said(events, "chunk")]
            servers = (await gateway.http.get("/api/metrics")).json()["llm"]["servers"]
            (asked_one,) = [server["url"] for server in servers if server["open"]]
            await {server.url: server for server in (first, second)}[asked_one].kill()
            heard += [event async for event in events]
        end = heard[-1]
        kept = await gateway.kept(end, 1)
    text = "".join(event["content"] for event in heard if event["type"] == "chunk")
    (seam,) = end["continued"]
    assert (end["type"], end["reason"]) == ("done", "length")
    assert 0 < seam < len(text)
    assert text == end["full_content"] == kept["content"]
    assert kept["continued"] == [seam]


async def until_away(gateway: Gateway, *urls: str) -> None:
    """Return when exactly these servers are told as away."""
    while True:
        servers = (await gateway.http.get("/api/metrics")).json()["llm"]["servers"]
        if [server["url"] for server in servers if not server["ok"]] == list(urls):
            return
        await look_again()


async def test_one_is_killed_in_the_middle_and_one_is_frozen(tmp_path: Path) -> None:
    async with asyncio.timeout(300), AsyncExitStack() as stack:
        servers: list[LlamaServer] = []
        for _ in range(3):
            slots = ("--parallel", "2", "--ctx-per-slot", "32768")
            servers.append(await stack.enter_async_context(running_llama(random_model(), *slots)))
        first, second, third = servers
        urls = ",".join(server.url for server in servers)
        gateway = await stack.enter_async_context(running_gateway(tmp_path, LLM_SERVER_URL=urls))

        async with AsyncExitStack() as long_ones:
            replies = []
            for _ in servers:
                stream = gateway.http.stream("POST", STREAM, json=LONG)
                response = await long_ones.enter_async_context(stream)
                replies.append(events_in(response))
                await said(replies[-1], "chunk")
            assert [await server.busy_slots() for server in servers] == [1, 1, 1], "the least busy first"
            await first.kill()
            assert (await said(replies[0], "error", "done"))["reason"] == "upstream_error"
            for reply in replies[1:]:
                assert (await said(reply, "chunk", "error", "done"))["type"] == "chunk"
            await until_away(gateway, first.url)
        detail = f"2 of 3 model servers are ready; {first.url} is away: "
        while not (ready := await gateway.http.get("/ready")).json()["detail"].startswith(detail):
            assert ready.status_code == 200  # its detail may be a second old
            await look_again()

        while await second.busy_slots() or await third.busy_slots():
            await look_again()
        second.freeze()
        last = (await gateway.ask(**SHORT))[-1]
        assert last["type"] == "done", f"taken by the second, answered by the third: {last}"
        await until_away(gateway, first.url, second.url)
        assert (await gateway.ask(**SHORT))[-1]["type"] == "done"
        await first.start()
        await until_away(gateway, second.url)
        await third.kill()
        assert (await gateway.ask(**SHORT))[-1]["type"] == "done"
        await first.kill()
        await until_away(gateway, first.url, second.url, third.url)
        refused = await gateway.http.post(STREAM, json=SHORT)
        assert (refused.status_code, refused.json()["code"]) == (503, "unreachable")
        await second.kill()
