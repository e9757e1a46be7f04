"""An Idempotency-Key never makes a second reply."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.exchanges import Exchange, NewExchange
from gateway.store.sql_store import SqlStore
from tests.web.gateway_server import STREAM, served
from transports.scripted import Script, Step, tokens, whole

KEY = {"idempotency-key": "once"}


def says(*steps: Step) -> Script:
    return lambda _: steps


async def test_the_same_key_and_body_never_make_a_second_reply(tmp_path: Path) -> None:
    async with served(tmp_path, says(*tokens("a", "b"))) as gateway:
        body: dict[str, Any] = {"content": "Hi", "session_id": None}
        answers = [
            await gateway.http.post(STREAM, json=body, headers=KEY),
            await gateway.http.post(
                STREAM,
                content=b'{"session_id":null, "content":"Hi"}',
                headers={**KEY, "content-type": "application/json"},
            ),
        ]
        assert len(gateway.transport.seen_requests) == 1
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert answers[0].text == answers[1].text
    assert len(sessions) == 1


async def test_two_posts_at_the_same_moment_make_one_reply(tmp_path: Path) -> None:
    async with served(tmp_path, says(*tokens("a", "b"))) as gateway, asyncio.TaskGroup() as group:
        posts = [
            group.create_task(gateway.http.post(STREAM, json={"content": "Hi"}, headers=KEY))
            for _ in range(10)
        ]
        answers = [await post for post in posts]
        assert len(gateway.transport.seen_requests) == 1
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["sluice-stream-id"] for answer in answers}) == 1
    assert {re.sub("content.*", "", answer.text[-30:]) for answer in answers} == {
        re.sub("content.*", "", answers[0].text[-30:])
    }


async def test_another_body_with_a_key_that_is_beginning_is_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving, go_on = asyncio.Event(), asyncio.Event()
    begin = SqlStore.begin

    async def begin_slowly(store: SqlStore, exchange: NewExchange) -> Exchange:
        saving.set()
        await go_on.wait()
        return await begin(store, exchange)

    monkeypatch.setattr(SqlStore, "begin", begin_slowly)
    async with served(tmp_path, says(*tokens("a"))) as gateway, asyncio.TaskGroup() as group:
        first = group.create_task(gateway.http.post(STREAM, json={"content": "Hi"}, headers=KEY))
        await saving.wait()
        other = await gateway.http.post(STREAM, json={"content": "Ho"}, headers=KEY)
        go_on.set()
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert (await first).status_code == 200


async def test_a_key_survives_a_restart(tmp_path: Path) -> None:
    async with served(tmp_path, says(*tokens("a", "b"))) as gateway:
        first = await gateway.http.post(STREAM, json={"content": "Hi"}, headers=KEY)
    async with served(tmp_path, says(*tokens("other"))) as gateway:
        second = await gateway.http.post(STREAM, json={"content": "Hi"}, headers=KEY)
        twin = await gateway.http.post(STREAM, json={"content": "Ho"}, headers=KEY)
        assert gateway.transport.seen_requests == []
    assert first.headers["sluice-stream-id"] == second.headers["sluice-stream-id"]
    assert '"full_content":"ab"' in second.text
    assert (twin.status_code, twin.json()["code"]) == (409, "conflict")


async def test_the_same_key_with_another_body_or_endpoint_is_a_conflict(tmp_path: Path) -> None:
    async with served(tmp_path, says(*tokens("a"))) as gateway:
        await gateway.http.post(STREAM, json={"content": "Hi"}, headers=KEY)
        answers = [
            await gateway.http.post(STREAM, json={"content": "Ho"}, headers=KEY),
            await gateway.http.post("/api/chatbot/messages", json={"content": "Hi"}, headers=KEY),
        ]
    assert [answer.status_code for answer in answers] == [409, 409]


async def test_a_refused_request_uses_no_key(tmp_path: Path) -> None:
    async with served(tmp_path, says(*tokens("a"))) as gateway:
        refused = await gateway.http.post(STREAM, json={"content": "Hi", "session_id": 9}, headers=KEY)
        accepted = await gateway.http.post(STREAM, json={"content": "Hi"}, headers=KEY)
    assert (refused.status_code, accepted.status_code) == (404, 200)


async def test_the_non_streaming_twin_repeats_its_answer(tmp_path: Path) -> None:
    async with served(tmp_path, says(*whole("all"))) as gateway:
        path = "/api/chatbot/messages"
        first = await gateway.http.post(path, json={"content": "Hi"}, headers=KEY)
        second = await gateway.http.post(path, json={"content": "Hi"}, headers=KEY)
        assert len(gateway.transport.seen_requests) == 1
    assert first.json() == second.json()


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_an_impossible_key_is_refused(tmp_path: Path, key: str) -> None:
    async with served(tmp_path, says(*tokens("a"))) as gateway:
        response = await gateway.http.post(STREAM, json={"content": "Hi"}, headers={"idempotency-key": key})
    assert response.status_code == 400
