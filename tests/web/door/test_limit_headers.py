"""Headers that tell each caller its limits, in the words of the IETF draft and of the model APIs."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.web.gateway_server import STREAM, served, unified_events
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens

SESSIONS = "/api/chatbot/sessions"
POLICY = '"minute";q=3;w=60, "streams";q=2;qu="concurrent-requests"'
QUESTION = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}


async def test_each_response_tells_what_is_left(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        key = bearer(await make_key(gateway, "anna", rate_per_minute=3, streams=2))
        answers = [await gateway.http.get(SESSIONS, headers=key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {POLICY}
    told = [
        re.fullmatch(r'"minute";r=(\d);t=(\d+), "streams";r=2', one.headers["ratelimit"]) for one in answers
    ]
    assert [found and found[1] for found in told] == ["2", "1", "0", "0"]
    assert all(found and 1 <= int(found[2]) <= 20 for found in told)
    assert (
        answers[3].headers["ratelimit"]
        == f'"minute";r=0;t={answers[3].headers["retry-after"]}, "streams";r=2'
    )


async def test_a_stream_and_its_refusal_tell_the_free_places(tmp_path: Path) -> None:
    held = asyncio.Event()
    async with served(tmp_path, lambda _: [held.wait, *tokens("x")]) as gateway:
        key = bearer(await make_key(gateway, "anna", rate_per_minute=3, streams=1))
        async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}, headers=key) as reply:
            assert reply.headers["ratelimit"].endswith('"streams";r=0')
            held.set()
            async for event in unified_events(reply):
                assert event["type"] in {"metadata", "chunk", "done"}
        ended = await gateway.http.get(SESSIONS, headers=key)
    assert ended.headers["ratelimit"].endswith('"streams";r=1')


async def test_without_keys_and_where_nothing_is_counted_there_are_no_limits_to_tell(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        open_mode = await gateway.http.get(SESSIONS)
        key = bearer(await make_key(gateway, "anna"))
        uncounted = await gateway.http.post(f"{STREAM}/{'0' * 32}/stop", headers=key)
        health = await gateway.http.get("/health", headers=key)
        stranger = await gateway.http.get(SESSIONS, headers=bearer("sk-no"))
    for answer in (open_mode, uncounted, health, stranger):
        assert "ratelimit" not in answer.headers
        assert "ratelimit-policy" not in answer.headers


@pytest.mark.parametrize("status", [200, 429])
async def test_openais_clients_find_their_own_headers(tmp_path: Path, status: int) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        key = bearer(await make_key(gateway, "anna", rate_per_minute=1))
        for _ in range(1 if status == 200 else 2):
            answer = await gateway.http.post("/v1/chat/completions", json=QUESTION, headers=key)
    assert answer.status_code == status
    assert answer.headers["x-ratelimit-limit-requests"] == "1"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert re.fullmatch(r"\d+s", answer.headers["x-ratelimit-reset-requests"])


@pytest.mark.parametrize("status", [200, 429])
async def test_anthropics_clients_find_their_own_headers(tmp_path: Path, status: int) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        key = bearer(await make_key(gateway, "anna", rate_per_minute=1))
        for _ in range(1 if status == 200 else 2):
            answer = await gateway.http.post("/v1/messages", json={"model": "x", **QUESTION}, headers=key)
    assert answer.status_code == status
    assert answer.headers["anthropic-ratelimit-requests-limit"] == "1"
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "0"
    reset = datetime.fromisoformat(answer.headers["anthropic-ratelimit-requests-reset"])
    assert abs(reset - datetime.now(UTC)) < timedelta(minutes=5)
