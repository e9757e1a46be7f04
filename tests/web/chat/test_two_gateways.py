"""Two gateways on one PostgreSQL: signals carry changes, and the list of gateways shows deaths."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.events import Delta, Done
from tests.live.looking import look_again
from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.chat.test_fenced_gateway import Reply
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import bearer, make_key
from transports.scripted import Script

pytestmark = [pytest.mark.live, requires_postgres()]


@pytest.fixture(autouse=True)
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.core.refreshing.REFRESH_S", 3600.0)
    monkeypatch.setattr("gateway.core.key_ring.MAX_AGE_S", 3600.0)


@asynccontextmanager
async def two(
    folder: Path, server: PostgresServer, script: Script, **settings: Any
) -> AsyncIterator[tuple[Served, Served]]:
    url = server.emptied()
    async with (
        served(folder, script, database_url=url, gateway_name="a", **settings) as a,
        served(folder, script, database_url=url, gateway_name="b", **settings) as b,
    ):
        yield a, b


async def test_a_stop_reaches_the_gateway_that_produces_the_reply(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    reply = Reply()
    async with two(tmp_path, postgres, reply.steps) as (a, b):
        reading = asyncio.ensure_future(a.events({"content": "Hi"}))
        await reply.paused.wait()
        (run,) = a.assembled.gateway.runs.all()
        stopped = await b.http.delete(f"{STREAM}/{run.stream_id}")
        events = await reading

    assert (stopped.status_code, stopped.json()["status"]) == (200, "cancelled")
    assert (events[-1]["type"], events[-1]["reason"]) == ("done", "user_stop")


async def test_a_session_stream_has_questions_and_replies_of_the_other_gateway(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with two(tmp_path, postgres, lambda _: [[Delta("hello")], [Done("stop")]]) as (a, b):
        await a.events({"content": "first"})
        async with b.http.stream("GET", "/api/chatbot/sessions/1/events") as response:
            heard = unified_events(response)
            long = "ä" * 20_000  # longer than a signal
            asking = asyncio.ensure_future(a.events({"content": long, "session_id": 1}))
            while (question := await anext(heard)).get("content") != long:
                pass  # signals of the first reply may still be under way
            told = [question, await anext(heard), await anext(heard)]
            await asking

    assert [event["type"] for event in told] == ["message", "reply_started", "reply_ended"]
    assert told[2]["status"] == "complete"


async def test_a_switch_of_the_mode_and_a_key_reach_the_other_gateway_at_once(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path, postgres, lambda _: [[Done("stop")]]) as (a, b):
        services = b.assembled.gateway
        applied, read = asyncio.Event(), asyncio.Event()
        reload, refresh = services.mode_switch.reload, services.keys.refresh

        async def noted_reload() -> None:
            await reload()
            applied.set()

        async def noted_refresh() -> None:
            await refresh()
            read.set()

        monkeypatch.setattr(services.mode_switch, "reload", noted_reload)
        monkeypatch.setattr(services.keys, "refresh", noted_refresh)
        switched = await a.http.put("/api/admin/mode?force=1", json={"mode": "auto"})
        assert switched.status_code == 200, switched.text
        await applied.wait()
        assert services.mode_switch.mode == "auto"

        made = await a.http.post("/api/admin/keys", json={"user": "anna"})
        assert made.status_code == 201, made.text
        await read.wait()
        assert services.keys.closed


async def test_a_gateway_that_stops_leaves_the_list_and_one_that_came_is_known(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with two(tmp_path, postgres, lambda _: [[Done("stop")]]):
        rows = postgres.sql("SELECT split_part(owner, '/', 1) FROM gateways ORDER BY owner", "shared")
        assert rows.split() == ["a", "b"]

    assert postgres.sql("SELECT count(*) FROM gateways", "shared") == "0"


async def test_a_session_that_is_deleted_at_one_gateway_stops_its_reply_at_the_other(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    reply = Reply()
    async with two(tmp_path, postgres, reply.steps) as (a, b):
        reading = asyncio.ensure_future(a.events({"content": "Hi"}))
        await reply.paused.wait()
        deleted = await b.http.delete("/api/chatbot/sessions/1")
        events = await reading

    assert deleted.status_code == 204
    assert (events[-1]["type"], events[-1]["reason"]) == ("done", "user_stop")


async def test_a_member_that_is_removed_at_one_gateway_reads_no_more_at_the_other(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with two(tmp_path, postgres, lambda _: [[Done("stop")]], rate_per_minute=100_000) as (a, b):
        anna, ben = bearer(await make_key(a, "anna")), bearer(await make_key(a, "ben"))
        await b.assembled.gateway.keys.refresh()
        members = [{"user": "ben"}]
        room = (await a.http.post("/api/chatbot/rooms", json={"members": members}, headers=anna)).json()

        async def await_status(status: int) -> None:
            url = f"/api/chatbot/sessions/{room['id']}"
            while (await b.http.get(url, headers=ben)).status_code != status:
                await look_again()

        await await_status(200)
        removal = await a.http.delete(f"/api/chatbot/rooms/{room['id']}/members?user=ben", headers=anna)
        assert removal.is_success, removal.text
        await await_status(404)
