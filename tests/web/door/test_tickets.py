"""Tickets: an EventSource reads what its user may, and nothing else, for as long as its user has a key."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.dialects.sse_frames import PING
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import bearer, make_key, revoke_all
from transports.scripted import tokens

SESSIONS = "/api/chatbot/sessions"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, lambda _: tokens("x"), sse_ping_s=0.5) as gateway:
        yield gateway


async def ticket_of(gateway: Served, key: str) -> dict[str, Any]:
    """A ticket to a new session of the key's user."""
    session = (await gateway.http.post(SESSIONS, headers=bearer(key))).json()["id"]
    issued = await gateway.http.post(f"{SESSIONS}/{session}/ticket", headers=bearer(key))
    assert issued.status_code == 200
    told: dict[str, Any] = issued.json()
    return told


async def test_a_session_is_heard_with_a_ticket_and_without_a_key(gateway: Served) -> None:
    key = await make_key(gateway, "anna")
    told = await ticket_of(gateway, key)
    assert set(told) == {"ticket", "expires_in_s", "url"}
    assert told["url"] == f"{SESSIONS}/1/events?ticket={told['ticket']}"
    assert told["expires_in_s"] == 720
    async with gateway.http.stream("GET", told["url"]) as tab:
        assert tab.status_code == 200
        await gateway.http.post(
            "/api/chatbot/messages", json={"content": "Hi", "session_id": 1}, headers=bearer(key)
        )
        news = unified_events(tab)
        heard = [(await anext(news))["type"] for _ in range(3)]
    assert heard == ["message", "reply_started", "reply_ended"]


async def test_a_ticket_opens_only_what_it_is_for(gateway: Served) -> None:
    key = await make_key(gateway, "anna")
    told = await ticket_of(gateway, key)
    await gateway.http.post(SESSIONS, headers=bearer(key))
    query = {"ticket": told["ticket"]}
    for path in (f"{SESSIONS}/2/events", f"{SESSIONS}/01/events", f"{STREAM}/1"):
        refused = await gateway.http.get(path, params=query)
        assert (refused.status_code, refused.json()["code"]) == (403, "bad_ticket"), path
    for path in (f"{STREAM}/session%2F1", f"{SESSIONS}/1", f"{SESSIONS}/1/messages", SESSIONS):
        assert (await gateway.http.get(path, params=query)).status_code == 401, path
    for path in (f"{SESSIONS}/1/ticket", f"{STREAM}/1/stop", STREAM):
        assert (await gateway.http.post(path, params=query)).status_code == 401, path


async def test_a_ticket_for_a_strangers_session_is_not_to_be_had(gateway: Served) -> None:
    await ticket_of(gateway, await make_key(gateway, "anna"))
    eve = bearer(await make_key(gateway, "eve"))
    refused = await gateway.http.post(f"{SESSIONS}/1/ticket", headers=eve)
    unknown = await gateway.http.post(f"{SESSIONS}/7/ticket", headers=eve)
    assert refused.status_code == 404
    assert refused.json() == unknown.json()


async def test_a_ticket_dies_with_its_users_last_key(gateway: Served) -> None:
    key = await make_key(gateway, "anna")
    told = await ticket_of(gateway, key)
    body = {"content": "Hi", "resumable": True}
    answered = await gateway.http.post(STREAM, json=body, headers=bearer(key))
    urls = [told["url"], answered.headers["sluice-resume-url"]]
    assert (await gateway.http.get(urls[1])).status_code == 200
    await revoke_all(gateway)
    for url in urls:
        refused = await gateway.http.get(url)
        assert (refused.status_code, refused.json()["code"]) == (403, "bad_ticket")


@pytest.mark.parametrize("how", ["key", "ticket", "open mode"])
async def test_who_listens_hears_nothing_more_when_the_key_is_revoked(gateway: Served, how: str) -> None:
    no_key: dict[str, str] = {}
    if how == "open mode":
        await gateway.http.post(SESSIONS)
        url, headers = f"{SESSIONS}/1/events", no_key
    else:
        key = await make_key(gateway, "anna")
        told = await ticket_of(gateway, key)
        url, headers = (told["url"], no_key) if how == "ticket" else (f"{SESSIONS}/1/events", bearer(key))
    async with gateway.http.stream("GET", url, headers=headers) as tab:
        assert tab.status_code == 200
        await make_key(gateway, "ben")
        await revoke_all(gateway)
        async with asyncio.timeout(30):
            assert (await tab.aread()).replace(PING, b"") == b""


async def test_who_came_without_a_key_has_none_when_the_same_user_gets_one(gateway: Served) -> None:
    await gateway.http.post(SESSIONS)
    async with gateway.http.stream("GET", f"{SESSIONS}/1/events") as tab:
        assert tab.status_code == 200
        await make_key(gateway, "local")
        async with asyncio.timeout(30):
            assert (await tab.aread()).replace(PING, b"") == b""


async def test_a_ticket_works_in_open_mode_too(gateway: Served) -> None:
    await gateway.http.post(SESSIONS)
    told = (await gateway.http.post(f"{SESSIONS}/1/ticket")).json()
    async with plain_http(gateway.url) as http, http.stream("GET", told["url"]) as tab:
        assert tab.status_code == 200
