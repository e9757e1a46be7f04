"""A gateway on a PostgreSQL that restarts while replies run: readers get all of it, and the database too."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from tests.store.postgres import PostgresServer, postgres_server, requires_postgres
from tests.web.gateway_server import STREAM, served, unified_events
from tests.web.key_holders import bearer, make_key
from transports.scripted import Step

pytestmark = [pytest.mark.live, requires_postgres()]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        server.start()
        yield server


def pausing(
    seen: asyncio.Event, go: Callable[[], Awaitable[object]]
) -> Callable[[ChatRequest], Sequence[Step]]:
    """A script that stops after its first token."""

    async def pause() -> None:
        seen.set()
        await go()

    return lambda _: [[Delta("before ")], pause, [Delta("and after")], [Done("stop")]]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGQUIT], ids=lambda end: end.name)
async def test_a_reply_goes_on_through_a_restart_of_the_server(
    server: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    end: signal.Signals,
) -> None:
    monkeypatch.setattr("gateway.store.probe.FRESH_S", 0.0)
    seen, go = asyncio.Event(), asyncio.Event()
    async with served(tmp_path, pausing(seen, go.wait), database_url=server.emptied()) as gateway:
        reading = asyncio.ensure_future(gateway.events({"content": "Hi"}))
        await seen.wait()
        await asyncio.to_thread(server.stop, end)
        refused = await gateway.http.post(STREAM, json={"content": "while it is away"})
        unready = await gateway.http.get("/ready")
        server.launch()
        await asyncio.to_thread(server.await_ready)
        go.set()
        events = await reading
        ready = await gateway.http.get("/ready")
        asked, replied = await gateway.messages()
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()

    assert (refused.status_code, refused.json()["code"]) == (503, "storage_failed")
    assert "retry-after" in refused.headers
    assert (unready.status_code, ready.status_code) == (503, 200)
    (missing,) = unready.json()["missing"]
    assert missing.startswith("database: The database takes no changes: PostgreSQL at /")
    assert (events[-1]["type"], events[-1]["full_content"]) == ("done", "before and after")
    assert (asked["content"], replied["content"], replied["status"]) == ("Hi", "before and after", "complete")
    assert len(sessions) == 1
    assert not [record for record in caplog.records if record.exc_info]
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) < 3, errors


async def test_an_end_while_the_server_is_away_is_told_kept_and_written_later(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.probe.FRESH_S", 0.0)
    monkeypatch.setattr("gateway.core.reply_row.STORAGE_RETRY_S", 0.0)
    seen, go = asyncio.Event(), asyncio.Event()
    async with served(tmp_path, pausing(seen, go.wait), database_url=server.emptied()) as gateway:
        reading = asyncio.ensure_future(gateway.events({"content": "Hi"}))
        await seen.wait()
        await asyncio.to_thread(server.stop, signal.SIGINT)
        go.set()
        events = await reading
        server.launch()
        await asyncio.to_thread(server.await_ready)
        assert (await gateway.http.get("/ready")).status_code == 200
        _, replied = await gateway.messages()

    assert (events[-1]["type"], events[-1]["code"]) == ("error", "storage_failed")
    assert (
        "".join(event.get("content", "") for event in events if event["type"] == "chunk")
        == "before and after"
    )
    assert (replied["content"], replied["status"]) == ("before and after", "failed")
    rows = server.sql("SELECT status, content FROM messages WHERE role = 'assistant'", "shared")
    assert rows == "failed|before and after"


async def test_keys_open_the_state_of_a_gateway_whose_server_is_away(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.core.key_ring.MAX_AGE_S", -1.0)
    monkeypatch.setattr("gateway.store.probe.FRESH_S", 0.0)
    async with served(tmp_path, lambda _: [], database_url=server.emptied()) as gateway:
        admin = bearer(await make_key(gateway, "ops", frozenset({"admin"})))
        await asyncio.to_thread(server.stop, signal.SIGINT)
        scrape = await gateway.http.get("/metrics", headers=admin)
        states = [
            (await gateway.http.get(f"/api/admin/{name}", headers=admin)).status_code
            for name in ("mode", "streams", "workers")
        ]
        async with gateway.http.stream("GET", "/api/admin/live", headers=admin) as live:
            state = await anext(unified_events(live))
        keys = await gateway.http.get("/api/admin/keys", headers=admin)
        unknown = await gateway.http.get("/metrics", headers=bearer("sk-unknown"))
    assert (scrape.status_code, states, unknown.status_code) == (200, [200, 200, 200], 401)
    assert "sluice_database_writable 0.0" in scrape.text
    assert state["database"]["ok"] is False
    assert (keys.status_code, keys.json()["code"]) == (503, "storage_failed")
