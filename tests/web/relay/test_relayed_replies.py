"""A reply that one gateway makes, read and stopped at another one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.looking import look_again
from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.event_source import kinds
from tests.web.gateway_server import STREAM, Served, unified_events
from tests.web.key_holders import bearer, make_key
from tests.web.relay.pair import BEFORE, TEXT, Pair, pair, path_of

pytestmark = [pytest.mark.live, requires_postgres()]


@pytest.fixture
async def both(no_task_is_left_over: None, tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Pair]:
    async with asyncio.timeout(60), pair(tmp_path, postgres) as both:
        yield both


async def test_a_reader_goes_on_at_another_gateway(both: Pair) -> None:
    left = await both.begun()
    assert left.source.text == BEFORE
    async with both.coming_back(left) as reader:
        await both.relaying()
        both.go.set()
        await reader.read()
    assert reader.source.text == TEXT
    assert kinds(reader.source.told) == ["metadata", "chunk", "done"]
    assert reader.headers["sluice-stream-id"] == left.stream_id
    assert reader.headers["sluice-resume-url"] == left.headers["sluice-resume-url"]
    assert len(both.first.transport.seen_requests) == 1


async def test_a_reader_that_was_never_there_gets_all_of_it(both: Pair) -> None:
    left = await both.begun()
    async with both.second.http.stream("GET", path_of(left)) as response:
        events = unified_events(response)
        told = [await anext(events), await anext(events)]
        assert told[1] == {"type": "chunk", "content": BEFORE}
        both.go.set()
        told += [event async for event in events]
    assert told[-1]["full_content"] == TEXT


async def test_what_was_read_to_its_end_is_not_sent_again(both: Pair) -> None:
    left = await both.begun()
    async with both.coming_back(left) as reader:
        both.go.set()
        await reader.read()
    headers = {"last-event-id": reader.source.last_id or ""}
    assert (await both.second.http.get(path_of(left), headers=headers)).status_code == 204


@pytest.mark.parametrize("name", ["openai", "ai-sdk", "words", "anthropic"])
async def test_the_other_gateway_answers_in_the_readers_dialect(both: Pair, name: str) -> None:
    left = await both.begun()
    both.go.set()
    answers = [
        await gateway.http.get(path_of(left), params={"format": name})
        for gateway in (both.second, both.first)
    ]
    assert answers[0].headers["content-type"] == answers[1].headers["content-type"]
    assert BEFORE.strip() in answers[0].text
    assert "data: " in answers[0].text


async def test_head_gets_the_headers(both: Pair) -> None:
    left = await both.begun()
    response = await both.second.http.head(path_of(left))
    assert (response.status_code, response.headers["sluice-stream-id"]) == (200, left.stream_id)
    assert response.content == b""


@pytest.mark.parametrize(("method", "suffix"), [("DELETE", ""), ("POST", "/stop")])
async def test_a_stop_at_another_gateway_stops_it(both: Pair, method: str, suffix: str) -> None:
    left = await both.begun()
    stopped = await both.second.http.request(method, path_of(left) + suffix)
    assert stopped.json() == {"stream_id": left.stream_id, "status": "cancelled", "reason": "user_stop"}
    await both.first.transport.idle()
    again = await both.second.http.request(method, path_of(left) + suffix)
    assert again.json() == stopped.json()


async def test_a_post_that_is_sent_again_to_another_gateway_gets_the_same_reply(both: Pair) -> None:
    headers = {"idempotency-key": "k"}
    async with both.first.http.stream("POST", STREAM, json={"content": "Hi"}, headers=headers) as response:
        started = await anext(unified_events(response))
        async with both.second.http.stream(
            "POST", STREAM, json={"content": "Hi"}, headers=headers
        ) as repeated:
            events = unified_events(repeated)
            assert await anext(events) == started
            both.go.set()
            assert [event async for event in events][-1]["full_content"] == TEXT
    assert len(both.first.transport.seen_requests + both.second.transport.seen_requests) == 1


async def test_a_whole_reply_that_is_asked_for_again_is_waited_for(both: Pair) -> None:
    asked: dict[str, Any] = {"json": {"content": "Hi"}, "headers": {"idempotency-key": "k"}}
    first = asyncio.create_task(both.first.http.post("/api/chatbot/messages", **asked))
    while not both.first.transport.open_requests:
        await look_again()
    second = asyncio.create_task(both.second.http.post("/api/chatbot/messages", **asked))
    await both.relaying()
    both.go.set()
    answers = [(await first).json(), (await second).json()]
    assert answers[0] == answers[1]
    assert answers[1]["assistant_message"]["content"] == TEXT


async def test_a_key_with_another_body_is_a_conflict_at_every_gateway(both: Pair) -> None:
    headers = {"idempotency-key": "k"}
    await both.begun()
    async with both.first.http.stream("POST", STREAM, json={"content": "Hi"}, headers=headers) as response:
        await anext(unified_events(response))
        refused = await both.second.http.post(STREAM, json={"content": "Other"}, headers=headers)
    assert refused.status_code == 409


async def test_a_chat_of_the_ai_sdk_goes_on_and_stops_at_another_gateway(both: Pair) -> None:
    chat = {"id": "c1", "trigger": "submit-message", "messages": [said("Hi")]}
    async with both.first.http.stream("POST", "/api/chat", json=chat) as response:
        assert response.status_code == 200
        lines = response.aiter_lines()
        while "text-delta" not in await anext(lines):
            pass
        async with both.second.http.stream("GET", "/api/chat/c1/stream") as resumed:
            again = resumed.aiter_lines()
            while BEFORE not in await anext(again):
                pass
            stopped = await both.second.http.post("/api/chat/c1/stop", json={})
            assert stopped.json() == {"stopped": True}
            assert [line async for line in again][-2:] == ["data: [DONE]", ""]
    assert (await both.second.http.get("/api/chat/c1/stream")).status_code == 204


def said(text: str) -> dict[str, Any]:
    return {"id": "m1", "role": "user", "parts": [{"type": "text", "text": text}]}


async def test_another_users_reply_is_unknown_at_every_gateway(both: Pair) -> None:
    anna, ben = [await make_key(both.first, name) for name in ("anna", "ben")]
    await both.second.assembled.gateway.keys.refresh()
    body = {"content": "Hi", "resumable": True}
    async with both.first.http.stream("POST", STREAM, json=body, headers=bearer(anna)) as response:
        started = await anext(unified_events(response))
        path = f"{STREAM}/{started['stream_id']}"
        assert (await both.second.http.get(path, headers=bearer(ben))).status_code == 404
        async with both.second.http.stream("GET", path, headers=bearer(anna)) as relayed:
            assert await anext(unified_events(relayed)) == started


async def test_a_reader_that_leaves_is_no_reader_of_the_owner_any_more(both: Pair) -> None:
    left = await both.begun()
    (run,) = both.first.assembled.gateway.runs.all()
    await until_read_by(run_readers=lambda: run.readers, count=0)
    async with both.second.http.stream("GET", path_of(left)) as response:
        await anext(unified_events(response))
        assert run.readers == 1
    await until_read_by(run_readers=lambda: run.readers, count=0)


async def until_read_by(run_readers: Any, count: int) -> None:
    while run_readers() != count:
        await look_again()


async def test_links_have_the_prefix_of_the_readers_gateway(tmp_path: Path, postgres: PostgresServer) -> None:
    async with asyncio.timeout(60), pair(tmp_path, postgres, root_path="/chat") as both:
        left = await both.begun()
        assert await first_link(both.first, path_of(left)) == left.headers["sluice-resume-url"]
        assert await first_link(both.second, path_of(left)) == "/chat" + left.headers["sluice-resume-url"]


async def first_link(gateway: Served, path: str) -> str:
    async with gateway.http.stream("GET", path) as response:
        link: str = (await anext(unified_events(response)))["resume_url"]
        assert response.headers["sluice-resume-url"] == link
        return link


async def test_an_event_id_of_the_gateway_that_told_the_end_is_good_at_the_one_that_made_it(
    both: Pair,
) -> None:
    left = await both.begun()
    both.go.set()
    async with both.coming_back(left) as reader:
        await reader.read()
    told = await both.second.http.get(path_of(left))
    ids = [line.removeprefix("id: ") for line in told.text.splitlines() if line.startswith("id: ")]
    answers = [
        await gateway.http.get(path_of(left), headers={"last-event-id": id})
        for id in ids
        for gateway in (both.first, both.second)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 204, 204]
    assert all(TEXT in answer.text for answer in answers[:4])
    for rest in answers[2:4]:
        assert '"type":"chunk"' not in rest.text, "it has all of the text"
