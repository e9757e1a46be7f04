"""Limits by user: requests a minute and streams at once, told in every frontend's own way."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.events import Delta, Done
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import bearer, make_key
from transports.scripted import Step, tokens

SESSIONS = "/api/chatbot/sessions"
MESSAGES = "/api/chatbot/messages"

# Where one asks, a body that is understood there, and where the error is found in the answer.
FRONTENDS: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    STREAM: ({"content": "Hi"}, lambda told: told["code"]),
    MESSAGES: ({"content": "Hi"}, lambda told: told["code"]),
    "/api/chat/stream": ({"message": "Hi"}, lambda told: (told["code"], bool(told["error"]))),
    "/api/v1/chat/unified/stream": ({"message": "Hi"}, lambda told: (told["code"], bool(told["error"]))),
    "/v1/chat/completions": (
        {"messages": [{"role": "user", "content": "Hi"}], "stream": True},
        lambda told: told["error"]["code"],
    ),
}


def two_streams(tmp_path: Path) -> AbstractAsyncContextManager[Served]:
    """Two streams at once for each user; replies say one token and go on in silence."""
    return served(tmp_path, lambda _: [[Delta("on ")]], streams_per_user=2)


def user(gateway: Served, key: str) -> httpx.AsyncClient:
    return plain_http(gateway.url, headers={**bearer(key), "accept": "application/json"})


async def test_open_mode_knows_no_limits(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), rate_per_minute=1, streams_per_user=1) as gateway:
        answers = [await gateway.http.get(SESSIONS) for _ in range(5)]
        await asyncio.gather(*(gateway.events({"content": "Hi"}) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}


async def test_too_many_requests_are_told_when_to_come_back(tmp_path: Path) -> None:
    async with two_streams(tmp_path) as gateway:
        anna = await make_key(gateway, "anna", rate_per_minute=3)
        async with user(gateway, anna) as http:
            answers = [await http.get(SESSIONS) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[3].json()["code"] == "rate_limited"
        assert 1 < int(answers[3].headers["retry-after"]) <= 20


async def test_all_keys_of_a_user_share_a_limit_and_a_key_with_its_own_does_not(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), rate_per_minute=2) as gateway:
        keys = [await make_key(gateway, "anna") for _ in range(3)]
        own = await make_key(gateway, "anna", rate_per_minute=5)
        ben = await make_key(gateway, "ben")
        statuses = [
            (await gateway.http.get(SESSIONS, headers=bearer(key))).status_code for key in [*keys, own, ben]
        ]
    assert statuses == [200, 200, 429, 200, 200]


async def test_a_refused_key_spends_nothing(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), rate_per_minute=1) as gateway:
        key = await make_key(gateway, "anna")
        for path in ("/api/admin/mode", "/health", "/docs"):
            await gateway.http.get(path, headers=bearer(key))
        assert (await gateway.http.get(SESSIONS, headers=bearer(key))).status_code == 200


async def test_a_stop_is_never_too_much(tmp_path: Path) -> None:
    async with two_streams(tmp_path) as gateway:
        key = await make_key(gateway, "anna", rate_per_minute=1)
        async with (
            user(gateway, key) as http,
            http.stream("POST", STREAM, json={"content": "Hi"}) as reply,
        ):
            stream_id = reply.headers["sluice-stream-id"]
            assert (await http.get(SESSIONS)).status_code == 429
            for prefix in (STREAM, "/api/chatbot" + STREAM):
                assert (await http.post(f"{prefix}/{stream_id}/stop")).status_code == 200
                assert (await http.delete(f"{prefix}/{stream_id}")).status_code == 200


async def test_more_streams_than_allowed_are_refused_until_one_ends(tmp_path: Path) -> None:
    async with two_streams(tmp_path) as gateway, user(gateway, await make_key(gateway, "anna")) as http:
        async with http.stream("POST", STREAM, json={"content": "Hi"}) as first:
            events = unified_events(first)
            await anext(events)
            async with http.stream("POST", STREAM, json={"content": "Hi"}) as second:
                await anext(unified_events(second))
                refused = await http.post(STREAM, json={"content": "Hi"})
                assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
                assert int(refused.headers["retry-after"]) > 0
                await http.post(f"{STREAM}/{first.headers['sluice-stream-id']}/stop")
                assert [event["type"] async for event in events][-1] == "done"
                async with http.stream("POST", STREAM, json={"content": "Hi"}) as third:
                    assert third.status_code == 200
        assert len((await http.get(SESSIONS)).json()) == 3


async def test_streams_are_counted_however_they_are_begun_and_only_when_they_are_new(tmp_path: Path) -> None:
    async with two_streams(tmp_path) as gateway:
        anna = await make_key(gateway, "anna")
        async with user(gateway, anna) as http:
            once = {"idempotency-key": "k"}
            async with http.stream("POST", STREAM, json={"content": "Hi"}, headers=once) as first:
                await anext(unified_events(first))
            async with http.stream("POST", STREAM, json={"content": "Hi"}, headers=once) as again:
                await anext(unified_events(again))
            path = f"{STREAM}/{first.headers['sluice-stream-id']}"
            async with http.stream("GET", path) as resumed:
                await anext(unified_events(resumed))
            async with http.stream("POST", STREAM, json={"content": "Hi"}) as second:
                await anext(unified_events(second))
                assert (await http.post(MESSAGES, json={"content": "Hi"})).status_code == 429


async def test_nobody_fills_anothers_places(tmp_path: Path) -> None:
    async with two_streams(tmp_path) as gateway:
        anna, ben = await make_key(gateway, "anna", streams=1), await make_key(gateway, "ben")
        async with (
            user(gateway, anna) as one,
            user(gateway, ben) as other,
            one.stream("POST", STREAM, json={"content": "Hi"}) as first,
        ):
            await anext(unified_events(first))
            assert (await one.post(STREAM, json={"content": "Hi"})).status_code == 429
            async with other.stream("POST", STREAM, json={"content": "Hi"}) as second:
                assert second.status_code == 200


async def test_a_question_that_cannot_begin_takes_no_place(tmp_path: Path) -> None:
    async with two_streams(tmp_path) as gateway, user(gateway, await make_key(gateway, "anna")) as http:
        for _ in range(5):
            unknown = await http.post(STREAM, json={"content": "Hi", "session_id": 77})
            assert unknown.status_code == 404
        async with http.stream("POST", STREAM, json={"content": "Hi"}) as reply:
            assert reply.status_code == 200


async def test_listeners_have_places_of_their_own(tmp_path: Path) -> None:
    async with two_streams(tmp_path) as gateway, user(gateway, await make_key(gateway, "anna")) as http:
        await http.post(SESSIONS)
        events = f"{SESSIONS}/1/events"
        async with http.stream("GET", events) as one, http.stream("GET", events) as two:
            assert (one.status_code, two.status_code) == (200, 200)
            assert (await http.get(events)).json()["code"] == "too_many_streams"
            async with http.stream("POST", STREAM, json={"content": "Hi"}) as reply:
                assert reply.status_code == 200


@pytest.mark.parametrize("path", FRONTENDS)
@pytest.mark.parametrize("what", ["rate", "streams"])
async def test_each_frontend_hears_it_in_its_own_words(tmp_path: Path, path: str, what: str) -> None:
    body, code_in = FRONTENDS[path]
    held = asyncio.Event()

    def script(_: object) -> list[Step]:
        return [[Delta("on ")], held.wait, [Done("stop")]]

    async with served(tmp_path, script) as gateway:
        if what == "rate":
            key = await make_key(gateway, "anna", rate_per_minute=1)
        else:
            key = await make_key(gateway, "anna", streams=1)
        async with user(gateway, key) as http:
            async with http.stream("POST", STREAM, json={"content": "Hi"}):
                refused = await http.post(path, json=body)
            held.set()
    expected = {"rate": "rate_limited", "streams": "too_many_streams"}[what]
    found = code_in(refused.json())
    assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (429, True)
    if path.startswith("/v1/"):
        assert found == "rate_limit_exceeded"
    else:
        assert found in (expected, (expected, True))
