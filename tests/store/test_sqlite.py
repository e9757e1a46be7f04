"""Behaviour of a store in a SQLite file."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, event, func, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from gateway.contract.errors import StorageFailed
from gateway.contract.exchanges import IdempotencyClaim
from gateway.core.access import OwnerAccess
from gateway.store.engine import open_database
from gateway.store.sql_store import SqlStore
from gateway.store.sqlite_file import SqliteFile, Synchronous
from gateway.store.tables import idempotency_keys, messages, metadata, sessions
from tests.store.exchanges import ask, question
from tests.store.rigs import SqliteRig


@pytest.fixture
def rig(tmp_path: Path) -> SqliteRig:
    return SqliteRig(tmp_path)


@pytest.fixture
async def store(rig: SqliteRig) -> AsyncIterator[SqlStore]:
    async with asyncio.timeout(30), (store := rig.store()).running():
        yield store


@pytest.fixture
def another_program(rig: SqliteRig, store: SqlStore) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(rig.file, isolation_level=None)) as connection:
        yield connection


@pytest.mark.parametrize(("synchronous", "level"), [("NORMAL", 1), ("FULL", 2)])
async def test_the_connections_are_set_as_they_should_be(
    rig: SqliteRig, synchronous: Synchronous, level: int
) -> None:
    def settings(connection: Connection) -> list[object]:
        named = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.scalar(text(f"PRAGMA {name}")) for name in named]

    database = open_database(rig.url, synchronous)
    async with asyncio.timeout(30), database.opened():
        assert await database.transact(settings) == ["wal", level, 1, 2000]
        async with database.reader() as reading:
            with pytest.raises(OperationalError, match="readonly"):
                await reading.execute(text("CREATE TABLE t (x)"))


async def test_a_transaction_has_the_write_lock_before_it_looks_at_anything(
    rig: SqliteRig,
) -> None:
    def try_to_begin(_: Connection) -> None:
        with (
            closing(sqlite3.connect(rig.file, timeout=0, isolation_level=None)) as another_program,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            another_program.execute("BEGIN IMMEDIATE")

    database = open_database(rig.url, "NORMAL")
    async with asyncio.timeout(30), database.opened():
        await database.transact(try_to_begin)


async def test_transactions_share_a_connection_until_one_of_them_fails(rig: SqliteRig) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE t (x)"))
        raise ValueError("no")

    database = open_database(rig.url, "NORMAL")
    async with asyncio.timeout(30), database.opened():
        first = await database.transact(lambda connection: connection)
        assert await database.transact(lambda connection: connection) is first

        with pytest.raises(ValueError, match="no"):
            await database.transact(fail)
        assert first.closed
        assert not await database.transact(lambda connection: inspect(connection).has_table("t"))


class Gate:
    """Blocks a transaction, in the writer's thread, until the test opens it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._go = threading.Event()
        self.reached = asyncio.Event()

    def wait(self, connection: Connection) -> str:
        self._loop.call_soon_threadsafe(self.reached.set)
        self._go.wait(5)
        return "waited"

    def let_go(self) -> None:
        self._go.set()


async def test_a_transaction_that_is_given_up_leaves_when_it_is_rolled_back(rig: SqliteRig) -> None:
    def create(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE t (x)"))
        gate.wait(connection)

    database = open_database(rig.url, "NORMAL")
    async with asyncio.timeout(30), database.opened():
        gate = Gate()
        transaction = asyncio.ensure_future(database.transact(create))
        await gate.reached.wait()
        transaction.cancel()
        await asyncio.sleep(0)
        assert not transaction.done()
        gate.let_go()
        await asyncio.wait([transaction])
        assert transaction.cancelled()
        assert not await database.transact(lambda connection: inspect(connection).has_table("t"))


async def test_a_transaction_that_is_given_up_too_late_counts(rig: SqliteRig) -> None:
    database = open_database(rig.url, "NORMAL")
    assert isinstance(database, SqliteFile)
    async with asyncio.timeout(30), database.opened():
        gate = Gate()
        event.listen(database._writing, "commit", gate.wait)
        transaction = asyncio.ensure_future(
            database.transact(lambda connection: connection.execute(text("CREATE TABLE t (x)")).rowcount)
        )
        await gate.reached.wait()
        transaction.cancel()
        await asyncio.sleep(0)
        gate.let_go()
        await transaction
        assert await database.transact(lambda connection: inspect(connection).has_table("t"))


async def test_a_message_needs_its_session_and_goes_with_it(rig: SqliteRig) -> None:
    def check(connection: Connection) -> None:
        row = connection.execute(select(messages).limit(1)).mappings().one()
        orphan = dict(row) | {"id": None, "uuid": "u", "session_id": 99}
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            connection.execute(insert(messages), orphan)

        connection.execute(delete(sessions).where(sessions.c.id == row.session_id))
        for table in (messages, idempotency_keys):
            assert connection.scalar(select(func.count()).select_from(table)) == 0

    async with asyncio.timeout(30):
        async with (store := rig.store()).running():
            await store.begin(question(idempotency=IdempotencyClaim("k", "f")))
        database = open_database(rig.url, "NORMAL")
        async with database.opened():
            await database.transact(check)


async def test_a_database_that_refuses_fails_the_callers_and_is_used_again_when_it_is_mended(
    store: SqlStore, another_program: sqlite3.Connection
) -> None:
    exchange = await ask(store, "q", "a")
    another_program.execute("ALTER TABLE messages RENAME TO elsewhere")

    refused = await asyncio.gather(*(store.begin(question()) for _ in range(3)), return_exceptions=True)
    with pytest.raises(StorageFailed):
        await store.messages("local", exchange.session_id)

    assert [type(outcome) for outcome in refused] == [StorageFailed] * 3
    another_program.execute("ALTER TABLE elsewhere RENAME TO messages")
    await ask(store, "q", "a", exchange.session_id)
    assert len(await store.messages("local", exchange.session_id)) == 4


async def test_a_reply_s_question_is_found_where_the_ids_of_two_processes_alternate(
    store: SqlStore, another_program: sqlite3.Connection
) -> None:
    begun = {"a": await store.begin(question(stream_id="a")), "b": await store.begin(question(stream_id="b"))}
    begun["c"] = await store.begin(question(begun["b"].session_id, stream_id="c"))
    another_program.execute("UPDATE messages SET id = id + 100 WHERE role = 'assistant'")

    for stream_id in ("a", "c"):
        found = await store.exchange("local", stream_id)
        assert found.user_message_id == begun[stream_id].user_message_id


async def test_nobody_waits_for_a_lock_to_read(store: SqlStore, another_program: sqlite3.Connection) -> None:
    exchange = await ask(store, "q", "a")
    another_program.execute("BEGIN IMMEDIATE")

    assert len(await store.messages("local", exchange.session_id)) == 2

    another_program.execute("ROLLBACK")


async def test_what_people_wrote_is_not_in_the_log(
    store: SqlStore, another_program: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    another_program.execute("ALTER TABLE messages RENAME TO elsewhere")

    with pytest.raises(StorageFailed) as refused:
        await store.begin(question(content="a secret"))

    assert caplog.records
    assert "a secret" not in caplog.text + repr(refused.value.__cause__)


async def test_a_second_process_is_refused_and_told_the_file(rig: SqliteRig, store: SqlStore) -> None:
    with pytest.raises(StorageFailed, match=rf"{rig.file} .*process \d+"):
        async with rig.store().running():
            pass

    await store.ping()


async def test_a_link_to_the_file_is_no_way_around(rig: SqliteRig, store: SqlStore, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(rig.file)

    with pytest.raises(StorageFailed, match="in use by another"):
        async with SqlStore(f"sqlite+aiosqlite:///{tmp_path}/link.db", access=OwnerAccess()).running():
            pass


async def test_the_file_is_free_again_afterwards(rig: SqliteRig) -> None:
    for _ in range(2):
        async with asyncio.timeout(30), (store := rig.store()).running():
            await store.ping()


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/nowhere/sluice.db", access=OwnerAccess())

    with pytest.raises(StorageFailed, match="nowhere"):
        async with store.running():
            pass


async def test_a_file_that_is_no_database_is_refused(rig: SqliteRig) -> None:
    rig.file.write_text("not a database, but long enough to be taken for one" * 100)

    with pytest.raises(StorageFailed):
        async with asyncio.timeout(30), rig.store().running():
            pass


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite:///sluice.db",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        "sqlite+aiosqlite:///file:x?mode=memory&uri=true",
        "unheard+of://user:hunter2@host/db",
        "postgresql+psycopg2://user:hunter2@host:port/db",
    ],
)
def test_a_url_nobody_can_connect_to_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        SqlStore(url, access=OwnerAccess())

    assert "hunter2" not in str(refused.value)


async def test_a_session_key_that_is_taken_is_drawn_again(rig: SqliteRig) -> None:
    # One session; then a pair of which one draws a taken key; then a pair that draws the same key.
    draws = iter(["a", *("a", "b", "c"), *("d", "d", "e")])
    store = SqlStore(rig.url, access=OwnerAccess(), draw_key=lambda user_id: f"{user_id}-{next(draws)}")
    async with asyncio.timeout(30), store.running():
        first = await store.create_session("local", "")
        pairs = [
            await asyncio.gather(*(store.create_session("local", "") for _ in range(2))) for _ in range(2)
        ]

    assert first.key == "local-a"
    keys = [sorted(session.key for session in pair) for pair in pairs]
    assert keys == [["local-b", "local-c"], ["local-d", "local-e"]]


async def test_keys_that_are_too_old_are_gone_after_a_start(rig: SqliteRig) -> None:
    async with asyncio.timeout(30):
        async with (store := rig.store()).running():
            exchange = await store.begin(question(idempotency=IdempotencyClaim("k", "f")))
        rig.later(timedelta(hours=24))
        async with (store := rig.store()).running():
            assert len(await store.messages("local", exchange.session_id)) == 2
    with closing(sqlite3.connect(rig.file)) as connection:
        assert connection.execute("SELECT count(*) FROM idempotency_keys").fetchone() == (0,)


def test_every_table_but_what_is_nobodys_says_whose_its_rows_are() -> None:
    nobodys = [name for name, table in metadata.tables.items() if "user_id" not in table.c]
    assert nobodys == ["gateways", "room_members", "secrets", "deleted", "audit_log", "kept_settings"]
