"""A WebSocket of the AI SDK at one gateway, with a reply that another one makes."""

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.relay.pair import BEFORE, TEXT, Pair, owner_of, pair
from tests.web.sockets.page_socket import page_socket

pytestmark = [pytest.mark.live, requires_postgres()]

RESUMABLE = {"Sluice-Resumable": "1"}


@pytest.fixture
async def both(no_task_is_left_over: None, tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Pair]:
    async with asyncio.timeout(60), pair(tmp_path, postgres) as both:
        yield both


async def begun(both: Pair, **more: str) -> None:
    """Ask at the first gateway, read until the first text, and disconnect."""
    async with page_socket(both.first.url) as page:
        await page.send("r1", headers=RESUMABLE | more)
        await page.until("r1", "text-delta")


async def test_a_page_resumes_at_another_gateway_from_the_first_chunk(both: Pair) -> None:
    await begun(both)
    async with page_socket(both.second.url) as page:
        await page.resume("r2")
        await page.until("r2", "text-delta")
        both.go.set()
        assert (await page.heard("r2")).text == TEXT
        await page.resume("r3")
        assert (await page.until("r3"))["type"] == "no-active"


async def test_a_heartbeat_of_the_owner_costs_no_chunk(both: Pair) -> None:
    await begun(both)
    async with page_socket(both.second.url) as page:
        await page.resume("r2")
        await page.until("r2", "text-delta")
        both.first.assembled.gateway.pulse.beat(math.inf)
        both.go.set()
        assert (await page.heard("r2")).text == TEXT


async def test_a_request_that_is_sent_again_to_another_gateway_gets_the_same_reply(both: Pair) -> None:
    same = {"Idempotency-Key": "k1"}
    await begun(both, **same)
    async with page_socket(both.second.url) as page:
        await page.send("r2", headers=RESUMABLE | same)
        await page.until("r2", "text-delta")
        both.go.set()
        assert (await page.heard("r2")).text == TEXT
    assert len(await both.second.messages()) == 2


async def test_an_abort_at_another_gateway_stops_the_reply(both: Pair) -> None:
    await begun(both)
    async with page_socket(both.second.url) as page:
        await page.resume("r2")
        await page.until("r2", "text-delta")
        await page.abort("r2")
        assert (await page.heard("r2")).ends == ("cancelled",)
    stored = await both.first.messages()
    assert (stored[1]["status"], stored[1]["reason"]) == ("cancelled", "user_stop")


async def test_a_page_that_leaves_is_no_reader_of_the_owner_any_more(both: Pair) -> None:
    await begun(both)
    (run,) = both.first.assembled.gateway.runs.all()
    relay = both.second.assembled.gateway.relay
    assert relay is not None
    async with page_socket(both.second.url) as page:
        await page.resume("r2")
        await page.until("r2", "text-delta")
        assert (run.readers, relay.client.open) == (1, 1)
    await both.relays_nothing()
    both.go.set()
    await run.ended.wait()
    assert (await both.second.messages())[1]["content"] == TEXT


async def test_a_gateway_that_dies_meanwhile_ends_the_request_with_an_error(both: Pair) -> None:
    await begun(both)
    relay = both.second.assembled.gateway.relay
    assert relay is not None
    async with page_socket(both.second.url) as page:
        await page.resume("r2")
        await page.until("r2", "text-delta")
        relay.cut([owner_of(both.first)])
        frame = await page.until("r2")
        assert (frame["type"], "resume the reply" in frame["errorText"]) == ("error", True)
        both.go.set()
        await page.resume("r3")
        assert (await page.until("r3"))["type"] in ("end", "no-active")
        told = "".join(one["chunk"].get("delta", "") for one in page.frames["r2"] if one["type"] == "chunk")
    assert told == BEFORE
