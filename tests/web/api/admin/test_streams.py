"""Running replies of all users are listed and stopped by an administrator."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM, served, unified_events
from tests.web.key_holders import bearer, make_key
from transports.scripted import Step

STREAMS = "/api/admin/streams"


async def read(http: httpx.AsyncClient, path: str, body: dict[str, Any], begun: asyncio.Event) -> bytes:
    told = b""
    async with http.stream("POST", path, json=body) as response:
        async for chunk in response.aiter_raw():
            told += chunk
            if b"halfway" in told:
                begun.set()
    return told


async def test_open_streams_are_listed_with_their_users_and_one_is_stopped(tmp_path: Path) -> None:
    held = asyncio.Event()

    def script(_: ChatRequest) -> list[Step]:
        return [[Delta("halfway")], held.wait, [Delta(" there")], [Done("stop")]]

    async with served(tmp_path, script) as gateway, asyncio.TaskGroup() as group:
        admin = bearer(await make_key(gateway, "ops", frozenset({"admin"})))
        annas, bens = bearer(await make_key(gateway, "anna")), bearer(await make_key(gateway, "ben"))
        readers = []
        for headers, path, body in (
            (annas, STREAM, {"content": "Hi"}),
            (bens, "/v1/chat/completions", {"stream": True, "messages": [{"role": "user", "content": "Hi"}]}),
        ):
            begun = asyncio.Event()
            client = plain_http(gateway.url, headers=headers)
            readers.append((client, group.create_task(read(client, path, body, begun))))
            await begun.wait()
        listed = (await gateway.http.get(STREAMS, headers=admin)).json()
        only_bens = (await gateway.http.get(f"{STREAMS}?user=ben", headers=admin)).json()
        first = (await gateway.http.get(f"{STREAMS}?limit=1", headers=admin)).json()
        stopped = await gateway.http.delete(f"{STREAMS}/{listed[0]['id']}", headers=admin)
        annas_told = await readers[0][1]
        left = (await gateway.http.get(STREAMS, headers=admin)).json()
        again = await gateway.http.delete(f"{STREAMS}/{listed[0]['id']}", headers=admin)
        held.set()
        bens_told = await readers[1][1]
        none = (await gateway.http.get(STREAMS, headers=admin)).json()
        (change,) = (await gateway.http.get("/api/admin/audit", headers=admin)).json()
        for client, _ in readers:
            await client.aclose()
    assert [(one["user"], one["mode"], one["dialect"], one["chars"], one["readers"]) for one in listed] == [
        ("anna", "sse", "lam", 7, 1),
        ("ben", "sse", "openai", 7, 1),
    ]
    assert all(one["age_s"] >= 0 and one["session_key"].startswith(one["user"]) for one in listed)
    assert ([one["user"] for one in only_bens], [one["user"] for one in first]) == (["ben"], ["anna"])
    assert (stopped.status_code, stopped.content, again.status_code) == (204, b"", 404)
    assert b'"reason":"user_stop"' in annas_told
    assert [one["user"] for one in left] == ["ben"]
    assert b" there" in bens_told
    assert none == []
    assert (change["action"], change["subject"]) == ("stream.stop", listed[0]["id"])
    assert (change["by"]["name"], change["detail"]) == ("ops", {"user": "anna"})


async def test_a_stopped_stream_is_stored_as_its_user_would_have_stopped_it(tmp_path: Path) -> None:
    held = asyncio.Event()
    async with served(tmp_path, lambda _: [[Delta("halfway")], held.wait, [Done("stop")]]) as gateway:
        async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response:
            events = unified_events(response)
            metadata, _ = [await anext(events), await anext(events)]
            await gateway.http.delete(f"{STREAMS}/{metadata['stream_id']}")
            (done,) = [event async for event in events]
        (_, kept) = await gateway.messages()
    assert (done["type"], done["reason"], done["full_content"]) == ("done", "user_stop", "halfway")
    assert (kept["status"], kept["content"]) == ("cancelled", "halfway")
