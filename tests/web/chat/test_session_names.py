"""A session's id, uuid and key mean the same wherever a request names one."""

from pathlib import Path
from typing import Any

import pytest

from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import make_key
from transports.scripted import tokens

SESSIONS = "/api/chatbot/sessions"
names = pytest.mark.parametrize("name", ["id", "uuid", "key"])


async def session_named(gateway: Served, name: str) -> Any:
    created = (await gateway.http.post(SESSIONS, json={"title": "T"})).json()
    assert created["id"] == 1
    return created[name]


@names
async def test_in_paths(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        path = f"{SESSIONS}/{await session_named(gateway, name)}"
        await gateway.events({"content": "Hi", "session_id": 1})
        one = await gateway.http.get(path)
        renamed = await gateway.http.patch(path, json={"title": "Other"})
        messages = await gateway.http.get(f"{path}/messages")
        export = await gateway.http.get(f"{path}/export")
        ticket = (await gateway.http.post(f"{path}/ticket")).json()
        async with gateway.http.stream("GET", f"{path}/events") as listening:
            assert listening.status_code == 200
        async with gateway.http.stream("GET", ticket["url"], headers={"x-api-key": "none"}) as listening:
            assert listening.status_code == 200
        deleted = await gateway.http.delete(path)
        gone = await gateway.http.get(path)
    assert (one.json()["id"], renamed.json()["title"]) == (1, "Other")
    assert [message["content"] for message in messages.json()] == ["Hi", "Hello"]
    assert export.json()["session"]["id"] == 1
    assert export.headers["content-disposition"] == 'attachment; filename="session-1.json"'
    assert (deleted.status_code, gone.status_code) == (204, 404)


@names
async def test_in_bodies(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        named = await session_named(gateway, name)
        streamed = await gateway.events({"content": "Hi", "session_id": named})
        whole = await gateway.http.post("/api/chatbot/messages", json={"content": "Hi", "session_id": named})
        printer = await gateway.http.post(
            "/api/chat/stream", json={"user_message": "Hi", "conversation_id": named}
        )
        completion = await gateway.http.post(
            "/v1/chat/completions",
            json={"messages": [{"role": "user", "content": "Hi"}]},
            headers={"sluice-session": str(named)},
        )
        messages = await gateway.messages(1)
    assert streamed[0]["session_id"] == whole.json()["user_message"]["session_id"] == 1
    assert (printer.status_code, completion.status_code) == (200, 200)
    assert len(messages) == 8


@names
async def test_in_queries(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        created = [(await gateway.http.post(SESSIONS, json={})).json() for _ in range(3)]
        page = await gateway.http.get(SESSIONS, params={"before": created[1][name]})
    assert [session["id"] for session in page.json()] == [1]


@pytest.mark.parametrize(
    "name", ["none", "0", "9", "-1", "1.5", "9" * 30, "local-000000", "0b6f4d6e-3f0e-4f4e-9a59-6f1f4c1f7a10"]
)
async def test_what_names_no_session_is_not_found(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        await session_named(gateway, "id")
        path = f"{SESSIONS}/{name}"
        answers = [
            await gateway.http.get(path),
            await gateway.http.patch(path, json={"title": "Other"}),
            await gateway.http.get(f"{path}/messages"),
            await gateway.http.get(f"{path}/export"),
            await gateway.http.post(f"{path}/ticket"),
            await gateway.http.get(f"{path}/events"),
            await gateway.http.delete(path),
            await gateway.http.get(SESSIONS, params={"before": name}),
            await gateway.http.post(STREAM, json={"content": "Hi", "session_id": name}),
        ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 9


async def test_a_uuid_may_be_written_in_capitals(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        uuid = await session_named(gateway, "uuid")
        answer = await gateway.http.get(f"{SESSIONS}/{uuid.upper()}")
    assert answer.json()["uuid"] == uuid


@pytest.mark.parametrize("name", ["uuid", "key"])
async def test_somebody_elses_is_not_found(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        anna, eve = await make_key(gateway, "anna"), await make_key(gateway, "eve")
        mine = (await gateway.http.post(SESSIONS, json={}, headers={"x-api-key": anna})).json()[name]
        gateway.http.headers["x-api-key"] = eve
        answers = [
            await gateway.http.get(f"{SESSIONS}/{mine}"),
            await gateway.http.delete(f"{SESSIONS}/{mine}"),
            await gateway.http.get(SESSIONS, params={"before": mine}),
            await gateway.http.post(STREAM, json={"content": "Hi", "session_id": mine}),
        ]
    assert {answer.status_code for answer in answers} == {404}
