"""A gateway that stops while replies are made: resumable readers come back later, others hear the end."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.contract.events import Delta, Done
from gateway.web.http.sse_writer import RETRY_MS
from tests.web.event_source import EventSource
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import Script


class Stage:
    """A reply that says one word and then waits for ever."""

    def __init__(self) -> None:
        self.said = asyncio.Event()

    def script(self) -> Script:
        async def wait() -> None:
            self.said.set()
            await asyncio.Event().wait()

        return lambda _: [[Delta("one")], wait, [Done("stop")]]


async def stopped_at_once(gateway: Served) -> None:
    hurry = asyncio.Event()
    hurry.set()
    await gateway.assembled.drain(hurry)


async def read(response: httpx.Response) -> EventSource:
    source = EventSource()
    assert source.take(await response.aread()) == b""
    return source


async def test_a_resumable_reader_is_sent_away_for_a_moment_and_hears_no_end(tmp_path: Path) -> None:
    stage = Stage()
    body = {"content": "Hi", "resumable": True}
    async with (
        served(tmp_path, stage.script()) as gateway,
        gateway.http.stream("POST", STREAM, json=body) as response,
    ):
        await stage.said.wait()
        await stopped_at_once(gateway)
        source = await read(response)
    assert source.text == "one"
    assert source.ends == []
    assert source.retry_ms is not None
    assert RETRY_MS[0] <= source.retry_ms <= RETRY_MS[1]


async def test_a_resumable_reader_that_comes_back_hears_the_end(tmp_path: Path) -> None:
    stage = Stage()
    body = {"content": "Hi", "resumable": True}
    async with served(tmp_path, stage.script()) as gateway:
        async with gateway.http.stream("POST", STREAM, json=body) as response:
            await stage.said.wait()
            await stopped_at_once(gateway)
            source = await read(response)
        assert source.last_id is not None
        path = f"{STREAM}/{response.headers['sluice-stream-id']}"
        again = await gateway.http.get(path, headers={"last-event-id": source.last_id})
        source.take(again.content)
    assert source.text == "one"
    assert [(end["type"], end["reason"]) for end in source.ends] == [("error", "shutdown")]


@pytest.mark.parametrize("body", [{"content": "Hi"}, {"content": "Hi", "resumable": False}])
async def test_a_reader_that_cannot_come_back_hears_the_end(tmp_path: Path, body: dict[str, Any]) -> None:
    stage = Stage()
    async with (
        served(tmp_path, stage.script()) as gateway,
        gateway.http.stream("POST", STREAM, json=body) as response,
    ):
        await stage.said.wait()
        await stopped_at_once(gateway)
        source = await read(response)
    assert source.retry_ms is None
    assert [(end["type"], end["reason"]) for end in source.ends] == [("error", "shutdown")]


CHAT = "/v1/chat/completions"
RESUMABLE = {"sluice-resumable": "1"}
ASKED: dict[str, dict[str, Any]] = {
    STREAM: {"content": "Hi"},
    CHAT: {"messages": [{"role": "user", "content": "Hi"}], "stream": True},
}


@pytest.mark.parametrize("path", ASKED)
async def test_a_decoder_that_dispatches_at_each_blank_line_hears_no_empty_event(
    tmp_path: Path, path: str
) -> None:
    stage = Stage()
    async with (
        served(tmp_path, stage.script()) as gateway,
        gateway.http.stream("POST", path, json=ASKED[path], headers=RESUMABLE) as response,
    ):
        await stage.said.wait()
        await stopped_at_once(gateway)
        told = (await response.aread()).decode()
    *frames, half = told.split("\n\n")
    assert all("data: " in frame for frame in frames)
    assert len(re.findall(r"^retry: \d+$", told, re.MULTILINE)) == 1
    assert "data: " not in half


async def test_openais_client_raises_the_end(tmp_path: Path) -> None:
    stage = Stage()
    async with served(tmp_path, stage.script()) as gateway:
        client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0)
        async with client:
            stream = await client.chat.completions.create(
                model="default",
                messages=[{"role": "user", "content": "Hi"}],
                stream=True,
                extra_headers=RESUMABLE,
            )
            await stage.said.wait()
            await stopped_at_once(gateway)
            with pytest.raises(openai.APIError, match="stopp"):
                async for _ in stream:
                    pass
