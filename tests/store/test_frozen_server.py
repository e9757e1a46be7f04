"""A PostgreSQL server that does not answer, and does not close its connections either."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager

import asyncpg
import pytest

from gateway.store import postgres, postgres_connection
from gateway.store.pools import READERS
from tests.live.looking import look_again
from tests.store.exchanges import question
from tests.store.postgres import PostgresServer, requires_postgres
from tests.store.rigs import PostgresRig

pytestmark = [pytest.mark.live, requires_postgres()]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "FINISH_S", 0.0)
    monkeypatch.setattr(postgres, "LEFT_S", 0.0)
    monkeypatch.setattr(postgres_connection, "CLOSE_S", 0.0)


@contextmanager
def frozen_sessions(server: PostgresServer) -> Iterator[None]:
    sessions = [
        int(pid)
        for pid in server.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice'").split()
    ]
    assert sessions
    for pid in sessions:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in sessions:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.emptied()


async def test_the_gateway_ends(postgres: PostgresServer, url: str) -> None:
    store = PostgresRig(url).store()
    with ExitStack() as until_ended:
        async with asyncio.timeout(30), store.running():
            await store.begin(question())
            await store.sessions("local", limit=1)
            until_ended.enter_context(frozen_sessions(postgres))


async def test_the_gateway_ends_although_a_read_that_nobody_waits_for_is_not_answered(
    postgres: PostgresServer, url: str
) -> None:
    store = PostgresRig(url).store()
    locking = await asyncpg.connect(url.replace("+asyncpg", ""))
    async with asyncio.timeout(30), locking.transaction(), store.running():
        await locking.execute("LOCK TABLE sessions")
        reading = asyncio.create_task(store.sessions("local", limit=1))
        while postgres.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0":
            await look_again()
        reading.cancel()
        await asyncio.wait({reading})
    await locking.close()


async def test_connections_that_do_not_answer_are_replaced(postgres: PostgresServer, url: str) -> None:
    """As when the way to the server is gone: the sockets stay open for a quarter of an hour."""
    store = PostgresRig(url).store()
    pool = store._database.reading.pool  # type: ignore[attr-defined]
    with ExitStack() as until_ended:
        async with asyncio.timeout(30), store.running():
            async with AsyncExitStack() as all_at_once:
                for _ in range(READERS):
                    await all_at_once.enter_async_context(store._database.reader())
            until_ended.enter_context(frozen_sessions(postgres))
            reading = [asyncio.create_task(store.sessions("local", limit=1)) for _ in range(READERS)]
            while pool.checkedout() < READERS:
                await look_again()
            for read in reading:
                read.cancel()
            await asyncio.wait(reading)

            assert await store.sessions("local", limit=1) == []
