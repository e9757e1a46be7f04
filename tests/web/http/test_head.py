"""HEAD wherever GET is: the same head, no body, and nothing starts or is kept alive by it."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.events import Delta, Done
from tests.web.bare_client import ask
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import Step, tokens

VOLATILE = {"date", "content-length", "server", "x-request-id", "request-id"}
PLAIN = [
    "/",
    "/health",
    "/ready",
    "/docs",
    "/docs/start.js",
    "/openapi.json",
    "/metrics",
    "/api/metrics",
    "/v1/models",
    "/v1/models/none",
    "/api/chatbot/sessions",
    "/api/chatbot/sessions/1",
    "/api/chatbot/sessions/1/messages",
    "/api/chatbot/sessions/1/export",
    "/api/chatbot/sessions/9",
    "/api/chatbot/templates",
    "/api/chatbot/templates/9",
    "/api/chatbot/workers",
    "/api/chatbot/usage",
    "/nothing",
]


@pytest.mark.parametrize("path", PLAIN)
async def test_it_answers_like_get_without_a_body(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        await gateway.events({"content": "Hi"})
        got = await gateway.http.get(path)
        headed = await gateway.http.head(path)
    assert headed.status_code == got.status_code
    assert headed.content == b""
    assert {n: v for n, v in headed.headers.items() if n not in {*VOLATILE, "transfer-encoding"}} == {
        n: v for n, v in got.headers.items() if n not in {*VOLATILE, "transfer-encoding"}
    }


async def test_no_byte_follows_the_head(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        await gateway.events({"content": "Hi"})
        for path in (
            "/v1/models",
            "/health",
            "/api/chatbot/sessions/1/events",
            "/api/chatbot/sessions/1/export",
        ):
            answer = await ask(gateway.url, f"HEAD {path} HTTP/1.1\nHost: localhost\nConnection: close")
            assert (answer.status, answer.body) == (200, b""), path


async def begun(gateway: Served, key: str = "once") -> tuple[str, str]:
    """A resumable reply whose reader has gone: its path, and the id of its text."""
    async with gateway.http.stream(
        "POST", STREAM, json={"content": "Hi"}, headers={"idempotency-key": key}
    ) as response:
        async for received in response.aiter_raw():
            if b"one" in received:
                break
    while (await gateway.http.get("/api/metrics")).json()["gateway"]["streams"]:
        pass  # It has not heard of that yet.
    return f"{STREAM}/{response.headers['sluice-stream-id']}", "2-3"


async def test_the_head_of_a_stream_that_runs(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    script: list[Step] = [[Delta("one")], go_on.wait, [Done("stop")]]
    async with served(tmp_path, lambda _: script, resume_grace_s=60) as gateway:
        path, last = await begun(gateway)
        headed = await gateway.http.head(path, headers={"last-event-id": last})
        ahead = await gateway.http.head(path, headers={"last-event-id": "99-99"})
        assert len(gateway.assembled.gateway.pulse) == 0
        go_on.set()
        got = await gateway.http.get(path, headers={"last-event-id": last})
    assert (headed.status_code, headed.content) == (200, b"")
    for name in ("content-type", "cache-control", "sluice-stream-id", "sluice-resume-url"):
        assert headed.headers[name] == got.headers[name]
    assert ahead.status_code == 400


async def test_it_keeps_no_reply_alive(tmp_path: Path) -> None:
    never = asyncio.Event()
    async with served(tmp_path, lambda _: [[Delta("one")], never.wait], resume_grace_s=0.3) as gateway:
        path, _ = await begun(gateway)
        stream_id = path.rpartition("/")[2]
        run = gateway.assembled.gateway.runs.find(stream_id, "local")
        timer = run.leave_timer
        assert (await gateway.http.head(path)).status_code == 200
        assert run.leave_timer is timer
        await run.ended.wait()
    assert run.outcome is not None
    assert run.outcome.reason == "abandoned"


async def test_the_head_of_a_reply_that_ended(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("one"), journal_ttl_s=0) as gateway:
        first = await gateway.http.post(STREAM, json={"content": "Hi"}, headers={"idempotency-key": "k"})
        path = f"{STREAM}/{first.headers['sluice-stream-id']}"
        heads = [
            await gateway.http.head(path),
            await gateway.http.head(path, headers={"last-event-id": "2-3"}),
            await gateway.http.head(path, headers={"last-event-id": "3-3"}),
            await gateway.http.head(f"{STREAM}/{'0' * 32}"),
        ]
    assert [head.status_code for head in heads] == [200, 200, 204, 404]


async def test_a_ticket_opens_the_head_too(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("one")) as gateway:
        first = await gateway.http.post(STREAM, json={"content": "Hi"}, headers={"idempotency-key": "k"})
        url = first.headers["sluice-resume-url"]
        assert (await gateway.http.head(url)).status_code == 200
        assert (await gateway.http.head(url[:-3] + "abc")).status_code == 403


async def test_listening_to_a_session_takes_no_place(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("one")) as gateway:
        await gateway.events({"content": "Hi"})
        headed = await gateway.http.head("/api/chatbot/sessions/1/events")
        unknown = await gateway.http.head("/api/chatbot/sessions/9/events")
    assert headed.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (headed.status_code, unknown.status_code) == (200, 404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (f"{STREAM}/{'0' * 32}", {"GET", "HEAD", "DELETE"}),
        (STREAM, {"POST"}),
        ("/v1/models", {"GET", "HEAD"}),
        ("/v1/chat/completions", {"POST"}),
        ("/api/chatbot/sessions/1/events", {"GET", "HEAD"}),
        ("/api/chatbot/sessions/1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/api/chatbot/sessions", {"GET", "HEAD", "POST"}),
        ("/health", {"GET", "HEAD"}),
        ("/", {"GET", "HEAD"}),
        ("/api/chatbot/sessions/1/ticket", {"POST"}),
    ],
)
async def test_allow_says_the_same(tmp_path: Path, path: str, allowed: set[str]) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        refused = await gateway.http.request("PUT", path, json={})
        headed = await gateway.http.head(path)
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == allowed
    assert (headed.status_code != 405) == ("HEAD" in allowed)
