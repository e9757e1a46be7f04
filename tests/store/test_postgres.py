"""Behaviour of a store in PostgreSQL."""

import asyncio
import gc
import re
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.contract.errors import StorageFailed
from gateway.contract.usage import UsedTokens
from gateway.core.access import OwnerAccess
from gateway.store.engine import open_database
from gateway.store.maintenance import current_revision, upgrade_database
from gateway.store.schema_migration import HEAD
from gateway.store.sql_store import SqlStore
from gateway.store.tables import metadata
from gateway.store.whole_reads import WholeReads
from tests.store.exchanges import ask
from tests.store.postgres import PostgresServer, requires_postgres
from tests.store.rigs import PostgresRig
from tests.store.test_figures import EVER

pytestmark = [pytest.mark.live, requires_postgres()]


@pytest.fixture
def rig(postgres: PostgresServer) -> PostgresRig:
    return PostgresRig(postgres.emptied())


@pytest.fixture
async def store(rig: PostgresRig) -> AsyncIterator[SqlStore]:
    async with asyncio.timeout(30), (store := rig.store()).running():
        yield store


def connections(postgres: PostgresServer) -> set[str]:
    """The process ids of the server's ends."""
    asked = "SELECT pid FROM pg_stat_activity WHERE datname = 'shared' AND pid <> pg_backend_pid()"
    return set(postgres.sql(asked, "shared").split())


async def test_a_cancelled_read_costs_no_connection(postgres: PostgresServer, store: SqlStore) -> None:
    exchange = await ask(store, "q", "a")
    await asyncio.gather(*(store.messages("local", exchange.session_id) for _ in range(20)))
    before = connections(postgres)

    for moment in range(12):
        reading = asyncio.ensure_future(store.messages("local", exchange.session_id))
        for _ in range(moment):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])

    readers = [store.messages("local", exchange.session_id) for _ in range(20)]
    assert {len(messages) for messages in await asyncio.gather(*readers)} == {2}
    assert connections(postgres) == before


async def test_the_error_of_a_cancelled_read_is_nobodys(
    rig: PostgresRig, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio would log it, with a traceback, when the database goes away."""
    engine = create_async_engine(rig.url, isolation_level="AUTOCOMMIT")
    reads = WholeReads(engine)
    async with asyncio.timeout(30):
        async with reads.connection() as connection:
            reading = asyncio.ensure_future(connection.execute(text("SELECT 1/0")))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
        await reads.finish()
        await engine.dispose()
    del connection, reading
    gc.collect()
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("/shared", "/nowhere"), 'database "nowhere" does not exist'),
        (("sluice@", "eve:hunter2@"), 'role "eve" does not exist'),
        (("?host=/", "?host=/nowhere/"), "No such file"),
    ],
)
async def test_a_database_that_cannot_be_opened_is_named_with_the_reason(
    rig: PostgresRig, wrong: tuple[str, str], said: str
) -> None:
    store = SqlStore(rig.url.replace(*wrong), access=OwnerAccess())

    with pytest.raises(StorageFailed, match=said) as refused:
        async with asyncio.timeout(30), store.running():
            pass
    assert "hunter2" not in str(refused.value)
    assert re.match(r"PostgreSQL at /.*:5432, database \w+, cannot be used: ", str(refused.value))


@pytest.mark.parametrize("option", ["sslmode=require", "application_name=a", "sslmod=require"])
def test_an_option_that_the_driver_does_not_have_is_named(option: str) -> None:
    name = option.partition("=")[0]
    with pytest.raises(ValueError, match=f"^there is no option '{name}'; TLS is "):
        SqlStore(f"postgresql+asyncpg://host/db?{option}", access=OwnerAccess())


def test_a_port_that_is_no_number_is_no_address() -> None:
    with pytest.raises(ValueError, match=r"^not a database URL"):
        SqlStore("postgresql+asyncpg://host:port/db", access=OwnerAccess())


@pytest.mark.parametrize("wrong", ["127.0.0.1:1/db?command_timeout=x", "127.0.0.1:1/db?ssl=x", "a..b/db"])
async def test_a_wrong_value_of_an_option_is_one_line(wrong: str) -> None:
    store = SqlStore(f"postgresql+asyncpg://{wrong}", access=OwnerAccess())
    with pytest.raises(StorageFailed, match=r"^PostgreSQL at .*, database db, cannot be used: .*\.$"):
        async with asyncio.timeout(30), store.running():
            pass


async def test_an_ipv6_address_is_named_with_its_brackets() -> None:
    store = SqlStore("postgresql+asyncpg://sluice@[::1]:1/sluice", access=OwnerAccess())
    with pytest.raises(StorageFailed, match=r"PostgreSQL at \[::1\]:1, database sluice, cannot be used: "):
        async with asyncio.timeout(30), store.running():
            pass


def test_without_its_driver_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(ValueError, match=r"pip install 'sluice-gateway\[cluster\]'"):
        open_database("postgresql+asyncpg://host/db", "NORMAL")


async def test_a_schema_that_is_behind_is_refused_until_it_is_upgraded(postgres: PostgresServer) -> None:
    rig = PostgresRig(postgres.database())
    with pytest.raises(StorageFailed, match=r"has no schema yet, .*: run `sluice db upgrade`"):
        async with asyncio.timeout(30), rig.store().running():
            pass
    await migrate(rig, "0009")
    with pytest.raises(StorageFailed, match=r"has schema 0009, .*: run `sluice db upgrade`"):
        async with asyncio.timeout(30), rig.store().running():
            pass

    assert await upgrade_database(open_database(rig.url, "NORMAL")) == ("0009", HEAD)
    assert await current_revision(open_database(rig.url, "NORMAL")) == HEAD
    async with asyncio.timeout(30), (store := rig.store()).running():
        await ask(store, "q", "a")


async def test_a_schema_of_a_newer_sluice_is_left_alone(postgres: PostgresServer) -> None:
    rig = PostgresRig(postgres.database())
    await upgrade_database(open_database(rig.url, "NORMAL"))
    await rig._execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StorageFailed, match="9999"):
        async with asyncio.timeout(30), rig.store().running():
            pass


async def test_what_the_migrations_make_is_what_the_tables_say(rig: PostgresRig) -> None:
    def compare(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    database = open_database(rig.url, "NORMAL")
    async with asyncio.timeout(30), database.opened():
        assert await database.transact(compare) == []


async def migrate(rig: PostgresRig, revision: str) -> None:
    def run(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "gateway.store:migrations")
        (command.downgrade if revision == "base" else command.upgrade)(config, revision)

    database = open_database(rig.url, "NORMAL")
    async with asyncio.timeout(30), database.opened():
        await database.transact(run)


async def test_messages_of_every_schema_are_kept_and_every_migration_can_be_taken_back(
    postgres: PostgresServer,
) -> None:
    rig = PostgresRig(postgres.database())
    await migrate(rig, "0001")
    await rig._execute(
        "INSERT INTO sessions (uuid, key, user_id, title, title_folded, created_at, updated_at) "
        "VALUES ('u1', 'local-1', 'local', '', '', now(), now())"
    )
    for role, content, tokens in (("user", "hi", None), ("assistant", "hello", 2_000_000_001)):
        await rig._execute(
            "INSERT INTO messages (uuid, user_id, session_id, role, status, created_at, content, model, "
            "tool_calls, total_tokens) VALUES ($1, 'local', 1, $1, 'complete', '2026-01-31T23:59:59Z', $2, "
            """'tiny', '[{"id": "c1", "name": "f", "arguments": ""}]', $3)""",
            *(role, content, tokens),
        )
    for revision in range(2, int(HEAD) + 1):
        await migrate(rig, f"{revision:04}")

    async with asyncio.timeout(30), (store := rig.store()).running():
        asked, replied = await store.messages("local", 1)
        figures = await store.usage.figures()
        (used,) = await store.usage.between(*EVER, None)
    assert (asked.content, replied.content, replied.parent_id) == ("hi", "hello", asked.id)
    assert (str(asked.author), str(replied.author)) == ("user:local", "assistant:tiny")
    assert replied.usage is None  # such a count is impossible
    assert (figures.messages, figures.sessions) == (2, 1)
    assert used == UsedTokens(EVER[0].replace(2026, 1, 31), "local", "tiny", 1, 0, 0, 0)
    await migrate(rig, "base")
    assert await rig._execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [
        ("alembic_version",)
    ]


async def test_connections_that_the_server_closed_are_replaced(
    postgres: PostgresServer, rig: PostgresRig, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = await ask(store, "q", "a")
    await asyncio.gather(*(store.messages("local", exchange.session_id) for _ in range(20)))
    connection = await asyncpg.connect(rig.url.replace("+asyncpg", ""))
    await connection.fetch(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'sluice'"
    )
    await connection.close()

    assert len(await store.messages("local", exchange.session_id)) == 2
    await ask(store, "q", "a", exchange.session_id)
    assert len(await store.messages("local", exchange.session_id)) == 4
    assert "Traceback" not in caplog.text
