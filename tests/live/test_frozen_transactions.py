"""A gateway is frozen in the middle of a database transaction: PostgreSQL still holds its row locks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.live.looking import look_again
from tests.live.test_adopted_replies import Pair, pair
from tests.store.postgres import SHARED, PostgresServer, requires_postgres

__all__ = ["pair"]

pytestmark = [pytest.mark.live, requires_postgres()]

LOCK = text("SELECT id FROM messages WHERE status = 'streaming' FOR UPDATE")
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


@asynccontextmanager
async def running_replies_locked(pair: Pair, postgres: PostgresServer) -> AsyncIterator[None]:
    """Lock their rows, generate text, and let the block begin when a gateway waits to store it."""
    engine = create_async_engine(make_url(postgres.url(SHARED)))
    async with engine.connect() as locking, engine.connect() as looking:
        await locking.execute(LOCK)
        pair.model.say("two ")
        autocommit = await looking.execution_options(isolation_level="AUTOCOMMIT")
        while not (await autocommit.execute(WAITING)).scalar():
            await look_again()
        yield
    await engine.dispose()


async def test_a_frozen_transaction_keeps_no_reply_and_nobody_else(
    pair: Pair, postgres: PostgresServer
) -> None:
    left = await pair.a.begin(resumable=True)
    classic = await pair.a.begin("without a handle")
    async with running_replies_locked(pair, postgres):
        pair.freeze()  # the lock is granted to it after this block, and it does not know
    reader = await pair.back(left)
    await reader.read(lambda: reader.source.text == "one two ")
    other = await pair.b.begin("another question", resumable=True)
    pair.model.end()
    await reader.read()
    await other.read()
    pair.thaw()
    await left.read()
    await classic.read()
    await pair.a.until_it_holds_nothing()
    rows = {row["stream_id"]: row["status"] for row in await pair.b.messages()}
    assert rows.pop(left.stream_id) == "complete"
    assert rows.pop(classic.stream_id) == "interrupted"
    assert [*rows.values()] == ["complete"]
    assert pair.a.said_no_errors()
    assert pair.b.said_no_errors()
