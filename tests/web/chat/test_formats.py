"""`?format=` on every streaming endpoint, and each dialect stopped, resumed and kept alive like any other."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, Done, Reasoning
from gateway.dialects.registry import DIALECTS
from gateway.dialects.sse_frames import PING
from tests.contract.rig_dialects import DIALECT_RIGS, RESUMING_RIGS, DialectRig
from tests.dialects.order.frames import frames_of
from tests.web.gateway_server import STREAM, served
from transports.scripted import Step, tokens, whole

ENDPOINTS = {
    STREAM: {"content": "Hi"},
    "/api/chatbot/messages/stream": {"content": "Hi"},
    "/api/chat/stream": {"message": "Hi"},
    "/api/v1/chat/unified/stream": {"message": "Hi", "user_id": "ann"},
}

commenting = pytest.mark.parametrize(
    "rig", [rig for rig in DIALECT_RIGS if rig.dialect.heartbeat == PING], ids=lambda rig: rig.name
)
resuming = pytest.mark.parametrize("rig", RESUMING_RIGS, ids=lambda rig: rig.name)
rigs = pytest.mark.parametrize("rig", DIALECT_RIGS, ids=lambda rig: rig.name)


@rigs
@pytest.mark.parametrize("path", ENDPOINTS)
async def test_any_endpoint_answers_in_any_dialect(tmp_path: Path, path: str, rig: DialectRig) -> None:
    async with served(tmp_path, lambda _: tokens("Hel", "lo")) as gateway:
        response = await gateway.http.post(f"{path}?format={rig.name}", json=ENDPOINTS[path])
    assert response.headers["content-type"] == rig.dialect.media_type
    assert set(rig.dialect.headers) <= {(name, value) for name, value in response.headers.raw}
    assert rig.hear(response.content).text == "Hello"


@pytest.mark.parametrize("path", [*ENDPOINTS, f"{STREAM}/{'0' * 32}"])
@pytest.mark.parametrize("query", ["format=klingon", "format=", "a=1&format=LAM"])
async def test_a_format_that_is_none_is_422_with_the_list(tmp_path: Path, path: str, query: str) -> None:
    method = "POST" if path in ENDPOINTS else "GET"
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        response = await gateway.http.request(method, f"{path}?{query}", json=ENDPOINTS.get(path))
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert response.status_code == 422
    assert all(name in response.json()["detail"] for name in DIALECTS)
    assert sessions == []


async def test_a_query_of_the_frontends_own_is_ignored(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        events = await gateway.events({"content": "Hi"}, f"{STREAM}?formatting=klingon&x=%ff")
    assert events[-1]["full_content"] == "Hello"


@resuming
async def test_a_resumed_stream_goes_on_in_its_dialect(tmp_path: Path, rig: DialectRig) -> None:
    read_on = asyncio.Event()
    script: list[Step] = [[Delta("Hel")], read_on.wait, [Delta("lo")], [Done("stop")]]
    headers = {"sluice-resumable": "1"}
    async with served(tmp_path, lambda _: script) as gateway:
        url = f"{STREAM}?format={rig.name}"
        async with gateway.http.stream("POST", url, json={"content": "Hi"}, headers=headers) as response:
            told = response.aiter_raw()
            received = await anext(told)
            while b"Hel" not in received:
                received += await anext(told)
            resume_url = response.headers["sluice-resume-url"]
        last_id = frames_of(received)[-1].id
        read_on.set()
        rest = await gateway.http.get(resume_url, headers={"last-event-id": str(last_id)})
        end_id = frames_of(rest.content)[-1].id
        nothing = await gateway.http.get(resume_url, headers={"last-event-id": str(end_id)})
        again = await gateway.http.get(resume_url)
    assert rig.hear(received + rest.content).text == "Hello"
    assert rig.hear(again.content) == rig.hear(received + rest.content)
    assert nothing.status_code == 204


async def test_a_stream_is_resumed_in_lam_unless_it_says_otherwise(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hel", "lo")) as gateway:
        asked = await gateway.http.post(
            "/api/v1/chat/unified/stream", json={"message": "Hi"}, headers={"sluice-resumable": "1"}
        )
        path = f"{STREAM}/{asked.headers['sluice-stream-id']}"
        plain = await gateway.http.get(path)
        text = await gateway.http.get(f"{path}?format=text")
        from_the_middle = await gateway.http.get(f"{path}?format=words&last_event_id=2-3")
    assert b'"type":"metadata"' in plain.content
    assert text.content.startswith(b'data: {"text":"Hel"}\nid: 2-3\n\n')
    assert from_the_middle.content == b'data: "lo"\nid: 3-5\n\nid: 4-5\n\n'


@pytest.mark.parametrize("name", ["words", "text"])
async def test_words_come_word_by_word_where_the_reply_came_whole(tmp_path: Path, name: str) -> None:
    text = "It came whole, all of it."
    async with served(tmp_path, lambda _: whole(text), chunk_size=1, word_delay_s=0.001) as gateway:
        response = await gateway.http.post(f"{STREAM}?format={name}", json={"content": "Hi"})
    said = [json.loads(frame.data or "") for frame in frames_of(response.content)]
    strings = [event if name == "words" else event["text"] for event in said]
    assert strings == ["It ", "came ", "whole, ", "all ", "of ", "it."]


async def test_others_come_by_characters_where_the_reply_came_whole(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: whole("abcdef"), chunk_size=2, chunk_delay_s=0.001) as gateway:
        response = await gateway.http.post("/api/chat/stream", json={"message": "Hi"})
    assert response.content.count(b'"type":"token"') == 3


@commenting
async def test_a_silent_stream_has_a_heartbeat_without_a_blank_line(tmp_path: Path, rig: DialectRig) -> None:
    async with (
        served(tmp_path, lambda _: [], sse_ping_s=0.05) as gateway,
        gateway.http.stream("POST", f"{STREAM}?format={rig.name}", json={"content": "Hi"}) as response,
    ):
        told = response.aiter_raw()
        received = b""
        while received.count(b": ping\n") < 2:
            received += await anext(told)
    assert received.endswith(b": ping\n: ping\n")
    assert b": ping\n\n" not in received


@pytest.mark.parametrize(("name", "beat"), [("anthropic", b'{"type":"ping"}'), ("ollama", b'"content":""')])
async def test_a_dialect_without_comments_has_a_heartbeat_of_its_own(
    tmp_path: Path, name: str, beat: bytes
) -> None:
    async with (
        served(tmp_path, lambda _: [], sse_ping_s=0.05) as gateway,
        gateway.http.stream("POST", f"{STREAM}?format={name}", json={"content": "Hi"}) as response,
    ):
        told = response.aiter_raw()
        received = b""
        while received.count(beat) < 2:
            received += await anext(told)
    assert b"\n: ping" not in received


async def test_a_failure_that_plain_text_cannot_tell_cuts_the_connection(tmp_path: Path) -> None:
    script: list[Step] = [[Delta("Hel")], UpstreamFailed("The model server broke off.")]
    async with served(tmp_path, lambda _: script) as gateway:
        with pytest.raises(httpx.RemoteProtocolError):
            await gateway.http.post(f"{STREAM}?format=plain", json={"content": "Hi"})
        (_, reply) = await gateway.messages()
    assert (reply["status"], reply["content"]) == ("failed", "Hel")


async def test_what_a_dialect_leaves_out_puts_no_heartbeat_off(tmp_path: Path) -> None:
    heard = asyncio.Event()

    def thinks() -> Iterator[Step]:
        while not heard.is_set():
            yield [Reasoning("hm")]
            yield lambda: asyncio.sleep(0)

    async with (
        served(tmp_path, lambda _: thinks(), sse_ping_s=0.05) as gateway,
        gateway.http.stream("POST", f"{STREAM}?format=words", json={"content": "Hi"}) as response,
    ):
        assert await anext(response.aiter_raw()) == b": ping\n"
        heard.set()
