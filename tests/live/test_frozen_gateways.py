"""Two real gateways on PostgreSQL in mode mqtt: the one that makes a reply is frozen, and comes back.

test_adopted_replies.py has the same with a model server.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.frozen_owners import TAKING_OVER, stopped_at
from tests.live.house import House, until
from tests.live.llama_server import LlamaServer, random_model, requires_llama, running_llama
from tests.live.test_absent_workers import busy
from tests.live.test_gateway import running_gateway
from tests.live.test_kills import SETTINGS, TOKENS, own_output
from tests.live.test_mqtt_kills import NO_MODEL, until_a_worker_is_ready, worker
from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.raw_reader import RawReader

pytestmark = [pytest.mark.live, requires_postgres(), requires_llama(), requires_mosquitto()]

SLOWLY = ("--ctx-per-slot", "16384", "--tokens-per-s", "30")
ENDLESS: dict[str, Any] = {**SETTINGS, "max_tokens": 10_000}
"""Takes longer than a test may."""


@dataclass
class Pair:
    a: House
    b: House
    model: LlamaServer

    async def begun(self, asked: dict[str, Any]) -> RawReader:
        return await self.a.begin("question", resumable=True, **asked)

    def freeze(self) -> None:
        self.a.program.process.send_signal(signal.SIGSTOP)

    async def stopped(self, stream_id: str) -> Any:
        return await stopped_at(self.b, stream_id)

    async def thaw(self) -> None:
        """Return when the first gateway has noticed that the reply is not its own any more."""
        self.a.program.process.send_signal(signal.SIGCONT)
        await self.a.until_it_holds_nothing()

    async def back(self, left: RawReader) -> RawReader:
        """Return the reader at the second gateway, when that has taken the reply over."""
        await self.b.program.until_said(TAKING_OVER)
        return await self.b.client.come_back(left.stream_id, deepcopy(left.source))

    async def row(self) -> dict[str, Any]:
        (message,) = await self.b.messages()
        return message


@pytest.fixture
async def pair(no_task_is_left_over: None, postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Pair]:
    async with (
        asyncio.timeout(300),
        AsyncExitStack() as stack,
        running_llama(random_model(), *SLOWLY) as model,
        running_mosquitto() as broker,
        worker(broker.address.port, model),
    ):
        settings = {
            "DATABASE_URL": postgres.emptied(),
            "LLM_COMM_MODE": "mqtt",
            "LLM_SERVER_URL": NO_MODEL,
            "MQTT_BROKER_HOST": "127.0.0.1",
            "MQTT_BROKER_PORT": str(broker.address.port),
        }
        houses = []
        for name in "ab":
            gateway = running_gateway(tmp_path, GATEWAY_NAME=name, **settings)
            houses.append(await stack.enter_async_context(House(await stack.enter_async_context(gateway))))
            await until_a_worker_is_ready(houses[-1])
        await houses[0].program.until_said("gateway b/.* is on this database too")
        one, other = houses
        yield Pair(one, other, model)


async def test_a_frozen_gateway_stops_nothing_when_it_is_back(pair: Pair) -> None:
    left = await pair.begun(SETTINGS)
    pair.freeze()
    reader = await pair.back(left)
    more = reader.source.chars + 1
    await reader.read(lambda: reader.source.chars >= more)
    await pair.thaw()
    await reader.read()
    row = await pair.row()
    generated = await pair.model.figure("tokens_predicted_total")
    (end,) = reader.source.ends
    assert (end["type"], end["reason"], row["status"]) == ("done", "length", "complete")
    assert reader.source.text == row["content"] == await own_output(pair.model, "question")
    assert generated == TOKENS
    assert left.source.ends == []
    assert pair.a.said_no_errors()
    assert pair.b.said_no_errors()


async def test_a_stop_while_its_gateway_is_frozen(pair: Pair) -> None:
    left = await pair.begun(ENDLESS)
    pair.freeze()
    answer = await pair.stopped(left.stream_id)
    assert answer == {"stream_id": left.stream_id, "status": "cancelled", "reason": "user_stop"}
    await until(partial(busy, pair.b), 0)
    row = await pair.row()
    await pair.thaw()
    reader = await pair.back(left)
    await reader.read()
    (end,) = reader.source.ends
    assert (end["type"], end["reason"]) == ("done", "user_stop")
    assert reader.source.text == max(left.source.text, row["content"], key=len)
    assert await pair.row() == row
    assert (row["status"], left.source.ends) == ("cancelled", [])
    assert pair.a.said_no_errors()
    assert pair.b.said_no_errors()
