"""Replies that another gateway makes, as this one shows them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.gateway_server import unified_events
from tests.web.relay.pair import BEFORE, Pair, pair

pytestmark = [pytest.mark.live, requires_postgres()]

SESSIONS, STREAMS = "/api/chatbot/sessions", "/api/admin/streams"


@pytest.fixture
async def both(no_task_is_left_over: None, tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Pair]:
    async with asyncio.timeout(60), pair(tmp_path, postgres) as both:
        yield both


async def get(gateway: Any, path: str) -> Any:
    response = await gateway.http.get(path)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_session_is_live_at_every_gateway(both: Pair) -> None:
    await both.first.http.post(SESSIONS, json={"title": "idle"})
    left = await both.begun()
    for gateway in (both.first, both.second):
        assert [(one["id"], one["live"]) for one in await get(gateway, SESSIONS)] == [(2, True), (1, False)]
        assert [(await get(gateway, f"{SESSIONS}/{id}"))["live"] for id in (1, 2)] == [False, True]
        renamed = await gateway.http.patch(f"{SESSIONS}/2", json={"title": "new"})
        assert renamed.json()["live"]

    await both.second.http.delete(f"/messages/stream/{left.stream_id}")
    for gateway in (both.first, both.second):
        assert not any(one["live"] for one in await get(gateway, SESSIONS))


async def test_an_administrator_sees_and_stops_replies_of_other_gateways(both: Pair) -> None:
    left = await both.begun()
    (here,) = await get(both.first, STREAMS)
    (there,) = await get(both.second, STREAMS)
    assert (here["gateway"], here["readers"], here["chars"]) == (None, 0, len(BEFORE))
    assert (there["gateway"], there["readers"], there["dialect"]) == ("first", None, "")
    same = ("id", "user", "session_id", "session_key")
    assert [there[name] for name in same] == [here[name] for name in same]
    assert there["id"] == left.stream_id
    assert await get(both.second, f"{STREAMS}?user=nobody") == []

    stopped = await both.second.http.delete(f"{STREAMS}/{left.stream_id}")
    assert stopped.status_code == 204, stopped.text
    for gateway in (both.first, both.second):
        assert await get(gateway, STREAMS) == []
    again = await both.second.http.delete(f"{STREAMS}/{left.stream_id}")
    assert again.status_code == 404
    (message,) = [one for one in await both.second.messages() if one["role"] == "assistant"]
    assert (message["status"], message["reason"]) == ("cancelled", "user_stop")
    (change,) = await get(both.second, "/api/admin/audit")
    assert (change["action"], change["subject"]) == ("stream.stop", left.stream_id)


async def test_a_session_stream_begins_with_the_running_replies_of_every_gateway(both: Pair) -> None:
    left = await both.begun()
    for gateway in (both.first, both.second):
        async with gateway.http.stream("GET", f"{SESSIONS}/1/events") as response:
            started = await anext(unified_events(response))
        assert (started["type"], started["stream_id"]) == ("reply_started", left.stream_id)
        assert (started["user_message_id"], started["assistant_message_id"]) == (1, 2)
