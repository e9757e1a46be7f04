"""Two real gateways on PostgreSQL, of which one dies or is frozen, and a server that keeps streams."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live.frozen_owners import TAKING_OVER, stopped_at
from tests.live.house import House, until
from tests.live.keeping_model import KeepingModel, keeping_model
from tests.live.test_gateway import running_gateway
from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.event_source import kinds
from tests.web.gateway_server import STREAM, unified_events
from tests.web.raw_reader import RawReader

pytestmark = [pytest.mark.live, requires_postgres()]

STOP, ASK = "DELETE /v1/stream", "POST /v1/chat/completions"


@dataclass
class Pair:
    """Both know each other, and that the model server keeps streams."""

    a: House
    b: House
    model: KeepingModel

    def freeze(self) -> None:
        os.kill(self.a.program.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.a.program.process.pid, signal.SIGCONT)

    async def taken_over(self) -> None:
        await self.b.program.until_said(TAKING_OVER)

    async def row(self) -> dict[str, Any]:
        (message,) = await self.b.messages()
        return message

    async def text(self) -> str:
        """Return what is stored of the reply."""
        return str((await self.row())["content"])

    async def back(self, left: RawReader) -> RawReader:
        """Return the reader at the second gateway. What the first one still sends to `left` is not its."""
        return await self.b.client.come_back(left.stream_id, deepcopy(left.source))

    async def stopped(self, stream_id: str) -> Any:
        return await stopped_at(self.b, stream_id)

    async def read_on(self, left: RawReader) -> RawReader:
        """Let the reader resume at the second gateway, and read to the end."""
        reader = await self.back(left)
        await reader.read()
        return reader


@pytest.fixture
async def pair(no_task_is_left_over: None, postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Pair]:
    url = postgres.emptied()
    async with asyncio.timeout(300), AsyncExitStack() as stack:
        model = await stack.enter_async_context(keeping_model())
        houses = []
        for name in "ab":
            settings = {"GATEWAY_NAME": name, "LLM_SERVER_URL": model.url, "DATABASE_URL": url}
            gateway = await stack.enter_async_context(running_gateway(tmp_path, **settings))
            houses.append(await stack.enter_async_context(House(gateway)))
        a, b = houses
        await a.program.until_said("gateway b/.* is on this database too")
        await model.until_asked("POST /v1/streams/lookup", 2)
        yield Pair(a, b, model)


async def test_a_frozen_owner_stops_nothing_when_it_is_back(pair: Pair) -> None:
    left = await pair.a.begin(resumable=True)
    pair.freeze()
    await pair.taken_over()
    pair.model.say("two ")
    reader = await pair.back(left)
    await reader.read(lambda: reader.source.text == "one two ")
    pair.thaw()
    await left.read()
    await pair.a.until_it_holds_nothing()
    pair.model.say("three")
    pair.model.end()
    await reader.read()
    row = await pair.row()
    assert reader.source.text == row["content"] == "one two three"
    assert (row["status"], len(reader.source.ends)) == ("complete", 1)
    assert "one two ".startswith(left.source.text)
    assert left.source.ends == []
    assert (pair.model.asked[STOP], pair.model.asked[ASK]) == (0, 1)
    assert pair.a.said_no_errors()
    assert pair.b.said_no_errors()


async def test_a_stop_while_its_owner_is_frozen(pair: Pair) -> None:
    left = await pair.a.begin(resumable=True)
    pair.freeze()
    answer = await pair.stopped(left.stream_id)
    assert answer == {"stream_id": left.stream_id, "status": "cancelled", "reason": "user_stop"}
    await pair.model.until_asked(STOP)
    row = await pair.row()
    pair.thaw()
    await left.read()
    await pair.a.until_it_holds_nothing()
    assert left.source.ends == []
    reader = await pair.read_on(left)
    (end,) = reader.source.ends
    assert (end["type"], end["reason"], reader.source.text) == ("done", "user_stop", "one ")
    assert await pair.row() == row
    assert (row["status"], row["reason"]) == ("cancelled", "user_stop")
    assert (pair.model.streams, pair.model.asked[ASK]) == ({}, 1)
    assert pair.a.said_no_errors()
    assert pair.b.said_no_errors()


async def test_a_stop_waits_for_the_gateway_that_takes_it_over(pair: Pair) -> None:
    left = await pair.a.begin(resumable=True)
    await pair.a.program.end(signal.SIGKILL)
    answer = await pair.stopped(left.stream_id)
    assert answer == {"stream_id": left.stream_id, "status": "cancelled", "reason": "user_stop"}
    await pair.model.until_asked(STOP)
    row = await pair.row()
    assert (row["status"], row["reason"]) == ("cancelled", "user_stop")
    assert (await pair.b.http.delete(f"{STREAM}/{left.stream_id}")).json() == answer


async def test_the_same_key_gets_the_same_reply_during_and_after_the_takeover(pair: Pair) -> None:
    key = {"Idempotency-Key": "k"}
    first = await pair.a.http.send(
        pair.a.http.build_request("POST", STREAM, json={"content": "Hi", "resumable": True}, headers=key),
        stream=True,
    )
    stream_id = first.headers["sluice-stream-id"]
    await pair.model.until_asked(ASK)
    await pair.a.program.end(signal.SIGKILL)

    async def again() -> list[dict[str, Any]]:
        body = {"content": "Hi", "resumable": True}
        async with pair.b.http.stream("POST", STREAM, json=body, headers=key) as response:
            assert response.headers["sluice-stream-id"] == stream_id
            return [event async for event in unified_events(response)]

    async with asyncio.TaskGroup() as tasks:
        during = tasks.create_task(again())
        await pair.taken_over()
        pair.model.say("two")
        pair.model.end()
    after = await again()
    for told in (during.result(), after):
        assert kinds(told) == ["metadata", "chunk", "done"]
        assert "".join(event["content"] for event in told if event["type"] == "chunk") == "one two"
    assert pair.model.asked[ASK] == 1
    assert (await pair.row())["status"] == "complete"


@pytest.mark.parametrize("forgets", [False, True], ids=["link cut", "server killed"])
async def test_a_model_server_that_is_away_during_the_takeover(pair: Pair, forgets: bool) -> None:
    left = await pair.a.begin(resumable=True)
    await until(pair.text, "one ")
    await pair.a.program.end(signal.SIGKILL)
    await pair.model.down(forget=forgets)
    await pair.taken_over()
    pair.model.say("two ")
    await pair.model.up()
    pair.model.end()
    reader = await pair.read_on(left)
    row = await pair.row()
    assert row["status"] == ("interrupted" if forgets else "complete")
    assert reader.source.text == row["content"] == ("one " if forgets else "one two ")
    assert len(reader.source.ends) == 1
    assert pair.b.said_no_errors()
    assert pair.model.asked[ASK] == 1


async def test_its_end_counts_once(pair: Pair) -> None:
    left = await pair.a.begin(resumable=True)
    await pair.a.program.end(signal.SIGKILL)
    await pair.taken_over()
    reader = await pair.back(left)
    pair.model.say("two")
    await reader.read(lambda: "two" in reader.source.text)
    (running,) = (await pair.b.http.get("/api/admin/streams")).json()
    assert (running["id"], running["mode"]) == (left.stream_id, "sse")
    pair.model.end()
    await reader.read()
    text = (await pair.b.http.get("/metrics")).text
    ended = [line for line in text.splitlines() if line.startswith("sluice_replies_total{")]
    assert [line.rpartition(" ")[2] for line in ended] == ["1.0"], ended
