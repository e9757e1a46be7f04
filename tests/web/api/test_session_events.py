"""A session's events, for its other clients."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from gateway.dialects.sse_frames import PING
from tests.web.frames import frames_of
from tests.web.gateway_server import STREAM, served
from transports.scripted import Script, Step, tokens


def says(*steps: Step) -> Script:
    return lambda _: steps


async def test_a_session_tells_its_other_tabs(tmp_path: Path) -> None:
    hold = asyncio.Event()

    def script(request: ChatRequest) -> list[Step]:
        return (
            [[Delta("a")], hold.wait, [Done("stop")]] if request.turns[-1].content == "one" else tokens("b")
        )

    async with (
        served(tmp_path, script) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "one"}) as response,
    ):
        frames = frames_of(response)
        first = (await anext(frames)).told
        async with gateway.http.stream("GET", "/api/chatbot/sessions/1/events") as tab:
            news = frames_of(tab)
            heard = [(await anext(news)).told]
            hold.set()
            heard.append((await anext(news)).told)
            second = await gateway.events({"content": "two", "session_id": 1})
            heard += [(await anext(news)).told for _ in range(3)]
            gone = len(gateway.assembled.gateway.news)
    assert (heard[0]["type"], heard[0]["stream_id"]) == ("reply_started", first["stream_id"])
    assert (heard[1]["type"], heard[1]["status"], heard[1]["reason"]) == ("reply_ended", "complete", "stop")
    assert (heard[2]["type"], heard[2]["content"]) == ("message", "two")
    assert [news["type"] for news in heard[3:]] == ["reply_started", "reply_ended"]
    assert heard[3]["stream_id"] == second[0]["stream_id"]
    assert gone == 1


async def test_the_first_bytes_come_at_once(tmp_path: Path) -> None:
    async with served(tmp_path, says([Done("stop")]), sse_ping_s=3600) as gateway:
        await gateway.events({"content": "Hi"})
        async with gateway.http.stream("GET", "/api/chatbot/sessions/1/events") as tab:
            assert await anext(tab.aiter_raw()) == PING


@pytest.mark.parametrize("session", ["7", "x", "0", "9" * 30, "-1"])
async def test_the_events_of_no_session_are_not_found(tmp_path: Path, session: str) -> None:
    async with served(tmp_path, says()) as gateway:
        response = await gateway.http.get(f"/api/chatbot/sessions/{session}/events")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_listening_to_a_session_keeps_no_reply_alive(tmp_path: Path) -> None:
    async with served(tmp_path, says([Delta("on ")])) as gateway:
        async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response:
            frames = frames_of(response)
            await anext(frames)
            tab = gateway.http.stream("GET", "/api/chatbot/sessions/1/events")
            listening = await tab.__aenter__()
        news = frames_of(listening)
        assert (await anext(news)).told["type"] == "reply_started"
        ended = (await anext(news)).told
        await tab.__aexit__(None, None, None)
    assert (ended["type"], ended["reason"]) == ("reply_ended", "abandoned")
