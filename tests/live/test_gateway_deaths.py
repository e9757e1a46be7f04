"""Two real gateways on a real PostgreSQL, of which one is killed or frozen."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.nursery import forked_sluice
from tests.live.programs import Program
from tests.live.scripted_model import scripted_model
from tests.plain_http import plain_http
from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.gateway_server import STREAM, unified_events

pytestmark = [pytest.mark.live, requires_postgres()]


@dataclass
class Gateway:
    program: Program
    http: httpx.AsyncClient


@pytest.fixture
async def pair(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Both know each other."""
    url = postgres.emptied()
    async with asyncio.timeout(240), AsyncExitStack() as stack:
        model = await stack.enter_async_context(scripted_model())
        gateways = []
        for name in "ab":
            program = await stack.enter_async_context(
                forked_sluice(
                    "serve",
                    cwd=tmp_path,
                    DATABASE_URL=url,
                    GATEWAY_NAME=name,
                    LLM_SERVER_URL=model,
                    PORT="0",
                )
            )
            listening = await program.until_said(r"listening on (\S+)")
            http = await stack.enter_async_context(
                plain_http(listening[1], headers={"accept": "application/json"})
            )
            gateways.append(Gateway(program, http))
        a, b = gateways
        await a.program.until_said("gateway b/.* is on this database too")
        yield a, b


async def reading(gateway: Gateway, begun: asyncio.Event) -> list[dict[str, Any]]:
    """Ask for a reply that goes on for ever, and read until the connection ends."""
    events: list[dict[str, Any]] = []
    try:
        async with gateway.http.stream("POST", STREAM, json={"content": "hold on"}) as response:
            async for event in unified_events(response):
                events.append(event)
                if event["type"] == "chunk":
                    begun.set()
    except httpx.RemoteProtocolError:
        pass
    return events


async def stored(gateway: Gateway) -> dict[str, Any]:
    response = await gateway.http.get("/api/chatbot/sessions/1/messages")
    (_, reply) = response.json()
    told: dict[str, Any] = reply
    return told


async def test_the_reply_of_a_killed_gateway_is_ended_by_the_other_one(
    pair: tuple[Gateway, Gateway], postgres: PostgresServer
) -> None:
    a, b = pair
    begun = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        read = tasks.create_task(reading(a, begun))
        await begun.wait()
        os.kill(a.program.process.pid, signal.SIGKILL)
        await b.program.until_said(r"a/\S+ does not live any more")
        await b.program.until_said("marked as interrupted")

    assert all(event["type"] not in ("done", "error") for event in read.result())
    reply = await stored(b)
    assert (reply["status"], reply["reason"]) == ("interrupted", "interrupted")
    assert (
        postgres.sql("SELECT split_part(owner, '/', 1), epoch FROM messages WHERE epoch > 0", "shared")
        == "b|1"
    )


async def test_a_frozen_gateway_learns_that_another_one_ended_its_reply(
    pair: tuple[Gateway, Gateway], postgres: PostgresServer
) -> None:
    a, b = pair
    begun = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        read = tasks.create_task(reading(a, begun))
        await begun.wait()
        os.kill(a.program.process.pid, signal.SIGSTOP)
        await b.program.until_said("marked as interrupted")
        kept = await stored(b)
        os.kill(a.program.process.pid, signal.SIGCONT)
        events = await read

    assert (events[-1]["type"], events[-1]["code"]) == ("error", "storage_failed")
    assert "took it over" in events[-1]["message"]
    assert await stored(b) == kept
    assert await stored(a) == kept
    rows = postgres.sql(
        "SELECT split_part(owner, '/', 1), epoch, status FROM messages WHERE epoch > 0", "shared"
    )
    assert rows == "b|1|interrupted"
    await b.program.until_said("(?s)marked as interrupted.*gateway a/.* is on this database too")
