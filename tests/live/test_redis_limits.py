"""Two gateways on one PostgreSQL whose limits a real Redis counts, and what the loss of Redis changes."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from tests.plain_http import plain_http
from tests.redis.server import RedisServer, redis_server, requires_redis
from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import bearer, make_key
from transports.scripted import Step

pytestmark = [pytest.mark.live, requires_postgres(), requires_redis()]

SESSIONS = "/api/chatbot/sessions"
PASSWORD = "hunter2-and-more"


class Told(logging.Handler):
    """Awaits lines of the log."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.put_nowait(record.getMessage())

    async def line(self, begin: str, times: int = 1) -> str:
        """Return when this many lines have begun so."""
        async with asyncio.timeout(60):
            while True:
                line = await self._lines.get()
                times -= line.startswith(begin)
                if not times:
                    return line


@pytest.fixture
def told() -> Iterator[Told]:
    told, log = Told(), logging.getLogger("sluice.limits")
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(told)
    yield told
    log.removeHandler(told)
    log.setLevel(level)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server(PASSWORD) as server:
        yield server


class House:
    """Gateways a and b, Anna's client of each, and replies that go on until `over` is set."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.gateways: list[Served] = []
        self.annas: list[httpx.AsyncClient] = []
        self.scraper: dict[str, str] = {}
        self._reading = AsyncExitStack()
        self._events: list[AsyncIterator[dict[str, Any]]] = []  # one that is not kept closes its stream

    def script(self, _: ChatRequest) -> list[Step]:
        async def until_over() -> None:
            await self.over.wait()

        return [[Delta("on ")], until_over, [Delta("and over"), Done("stop")]]

    async def ask(self, gateway: int) -> AsyncIterator[dict[str, Any]]:
        """Begin a reply for Anna; return its events after the first text."""
        asked = self.annas[gateway].stream("POST", STREAM, json={"content": "Hi"})
        response = await self._reading.enter_async_context(asked)
        assert response.status_code == 200, await response.aread()
        events = unified_events(response)
        self._events.append(events)
        async for event in events:
            if event["type"] == "chunk":
                break
        return events

    async def status(self, gateway: int) -> int:
        """Return the status of a question of Anna's that begins a reply or not."""
        async with self.annas[gateway].stream("POST", STREAM, json={"content": "Hi"}) as response:
            return response.status_code


@asynccontextmanager
async def two(
    folder: Path, postgres: PostgresServer, redis: RedisServer, **settings: Any
) -> AsyncIterator[House]:
    house = House()
    shared = {"database_url": postgres.emptied(), "redis_url": redis.url} | settings
    async with AsyncExitStack() as stack:
        for name in ("a", "b"):
            gateway = await stack.enter_async_context(
                served(folder, house.script, gateway_name=name, **shared)
            )
            house.gateways.append(gateway)
        key = await make_key(house.gateways[0], "anna")
        house.scraper = bearer(await make_key(house.gateways[0], "prometheus", frozenset({"metrics"})))
        for gateway in house.gateways:
            await gateway.assembled.gateway.keys.refresh()
            headers = {**bearer(key), "accept": "application/json"}
            house.annas.append(await stack.enter_async_context(plain_http(gateway.url, headers=headers)))
        stack.push_async_exit(house._reading)
        yield house


async def test_requests_are_counted_together(
    postgres: PostgresServer, redis: RedisServer, tmp_path: Path
) -> None:
    async with two(tmp_path, postgres, redis, rate_per_minute=5) as house:
        a, b = house.annas
        answers = [await http.get(SESSIONS) for http in (a, a, a, a, b, b, a)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert answers[4].headers["ratelimit"].startswith('"minute";r=0')
    assert answers[4].headers["ratelimit-policy"].startswith('"minute";q=5;')


async def test_streams_are_counted_together_and_each_is_free_at_its_end(
    postgres: PostgresServer, redis: RedisServer, tmp_path: Path
) -> None:
    async with two(tmp_path, postgres, redis, streams_per_user=3) as house:
        first, second, third = await house.ask(0), await house.ask(0), await house.ask(1)
        assert [await house.status(gateway) for gateway in (0, 1)] == [429, 429]
        house.over.set()
        for events in (first, second, third):
            assert [event["type"] async for event in events][-1] == "done"
        house.over.clear()
        for _ in range(3):
            await house.ask(1)
        assert await house.status(0) == 429
        house.over.set()


@pytest.mark.parametrize("loss", [signal.SIGSTOP, signal.SIGKILL])
async def test_without_redis_replies_go_on_and_each_gateway_allows_its_share(
    postgres: PostgresServer,
    redis: RedisServer,
    tmp_path: Path,
    told: Told,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    loss: int,
) -> None:
    async with two(tmp_path, postgres, redis, streams_per_user=3) as house:
        running = [await house.ask(0), await house.ask(0)]
        monkeypatch.setattr("gateway.redis.link.TIMEOUT_S", 0.2)
        redis.signal(loss)
        await told.line("Redis is away", times=2)
        assert (await house.annas[0].get(SESSIONS)).status_code == 200
        assert await house.status(0) == 429
        running += [await house.ask(1), await house.ask(1)]  # two is the share of three
        assert await house.status(1) == 429

        monkeypatch.setattr("gateway.redis.link.TIMEOUT_S", 60)
        if loss == signal.SIGKILL:
            redis.kill()
            redis.start()
        else:
            redis.signal(signal.SIGCONT)
        await told.line("Redis answers", times=2)
        assert [await house.status(gateway) for gateway in (0, 1)] == [429, 429]
        house.over.set()
        for events in running:
            assert [event["type"] async for event in events][-1] == "done"
        assert await house.status(1) == 200
    assert PASSWORD not in caplog.text


async def test_a_closed_gateway_refuses_requests_without_redis_and_is_ready(
    postgres: PostgresServer, redis: RedisServer, tmp_path: Path, told: Told
) -> None:
    async with two(tmp_path, postgres, redis, limits_without_redis="closed") as house:
        running = await house.ask(0)
        redis.kill()
        await told.line("Redis is away", times=2)
        refused = await house.annas[0].get(SESSIONS)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"] == "2"
        assert (await house.annas[0].get("/ready")).status_code == 200
        scrape = await house.gateways[0].http.get("/metrics", headers=house.scraper)
        assert "sluice_redis_connected 0.0" in scrape.text
        house.over.set()
        assert [event["type"] async for event in running][-1] == "done"
