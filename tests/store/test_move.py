"""A SQLite file is moved into an empty PostgreSQL database, all of it or nothing."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.contract.content import Image, Text
from gateway.contract.errors import StorageFailed
from gateway.contract.events import ToolCall, Usage
from gateway.contract.record import replace
from gateway.store.engine import open_database
from gateway.store.maintenance import current_revision, upgrade_database
from gateway.store.move import move
from gateway.store.sql_store import SqlStore
from gateway.store.sqlite_file import SqliteFile
from gateway.store.tables import metadata
from tests.store.exchanges import answer, ask, question
from tests.store.postgres import PostgresServer, requires_postgres
from tests.store.rigs import PostgresRig, SqliteRig
from tests.store.test_figures import EVER
from tests.store.test_released_databases import RELEASED

pytestmark = [pytest.mark.live, requires_postgres()]


@pytest.fixture
def source(tmp_path: Path) -> SqliteRig:
    return SqliteRig(tmp_path)


@pytest.fixture
def target(postgres: PostgresServer) -> PostgresRig:
    return PostgresRig(postgres.database())


async def moved(source: SqliteRig, target: PostgresRig) -> dict[str, int]:
    said: dict[str, int] = {}
    file = open_database(source.url, "NORMAL")
    assert isinstance(file, SqliteFile)
    async with asyncio.timeout(60):
        rows = await move(source.url, file, open_database(target.url, "NORMAL"), said.__setitem__)
    assert rows == said
    return said


async def seen(store: SqlStore) -> object:
    """All that users can get from a store."""
    got: list[object] = []
    for user in ("anna", "ben", "local"):
        sessions = await store.sessions(user, hidden=True)
        got += [sessions, *[await store.messages(user, session.id) for session in sessions]]
        got.append(await store.templates.all(user))
    figures = replace(await store.usage.figures(), database_bytes=0)
    return [
        got,
        await store.devices(),
        await store.keys.all(),
        await store.usage.between(*EVER, None),
        figures,
    ]


async def test_all_of_a_released_database_arrives(source: SqliteRig, target: PostgresRig) -> None:
    with closing(sqlite3.connect(source.file)) as connection:
        connection.executescript(RELEASED[-1].read_text(encoding="utf-8"))
    image = (Text("look"), Image("image/png", "iVBORw0="))
    async with asyncio.timeout(30), (store := source.store()).running():
        exchange = await store.begin(question(1, user_id="anna", content=image, request=b"{}"))
        called = answer(exchange, tool_calls=(ToolCall("c", "f", "{}"),), usage=Usage(1, 2, 3))
        await store.finish(replace(called, event_lengths=b"\x01"))
        last = (await ask(store, "gone", "a")).session_id
        await store.delete_session("local", last)
        before = await seen(store)

    rows = await moved(source, target)

    assert set(rows) == set(metadata.tables)
    with closing(sqlite3.connect(source.file)) as connection:
        counts = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in rows}  # noqa: S608
    assert rows == counts
    async with asyncio.timeout(30), (store := target.store()).running():
        assert await seen(store) == before
        # The ids of deleted rows are not used again.
        assert (await ask(store, "new", "a")).session_id == last + 1


async def test_many_rows_arrive_in_batches(
    source: SqliteRig, target: PostgresRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.move.BATCH_ROWS", 7)
    async with asyncio.timeout(30), (store := source.store()).running():
        for _ in range(20):
            await ask(store, "q", "a")

    rows = await moved(source, target)
    assert (rows["sessions"], rows["messages"]) == (20, 40)


async def test_a_target_with_rows_is_refused(source: SqliteRig, target: PostgresRig) -> None:
    async with asyncio.timeout(30), source.store().running():
        pass
    await upgrade_database(open_database(target.url, "NORMAL"))
    async with asyncio.timeout(30), (store := target.store()).running():
        kept = await ask(store, "mine", "a")

    with pytest.raises(StorageFailed, match="the target is not empty, it has rows in sessions"):
        await moved(source, target)
    async with asyncio.timeout(30), (store := target.store()).running():
        assert len(await store.messages("local", kept.session_id)) == 2


async def test_databases_in_use_are_refused(source: SqliteRig, target: PostgresRig) -> None:
    async with asyncio.timeout(30), source.store().running():
        with pytest.raises(StorageFailed, match="in use by another gateway"):
            await moved(source, target)
    await upgrade_database(open_database(target.url, "NORMAL"))
    async with asyncio.timeout(30), (store := target.store()).running():
        assert store.membership.gateways is not None
        await store.membership.gateways.renew()
        with pytest.raises(StorageFailed, match="not empty, it has rows in gateways"):
            await moved(source, target)


async def test_a_source_that_is_behind_is_refused(source: SqliteRig, target: PostgresRig) -> None:
    with closing(sqlite3.connect(source.file)) as connection:
        connection.executescript(RELEASED[0].read_text(encoding="utf-8"))

    with pytest.raises(StorageFailed, match=r"has schema 0001, .* run `sluice db upgrade`"):
        await moved(source, target)


async def test_rows_that_postgresql_refuses_leave_the_target_without_anything(
    source: SqliteRig, target: PostgresRig
) -> None:
    async with asyncio.timeout(30), (store := source.store()).running():
        await ask(store, "q", "a")
    with closing(sqlite3.connect(source.file)) as connection, connection:
        connection.execute("UPDATE messages SET session_id = 99 WHERE role = 'user'")

    with pytest.raises(StorageFailed, match=r"Nothing was moved: .*foreign key"):
        await moved(source, target)
    assert await current_revision(open_database(target.url, "NORMAL")) is None
