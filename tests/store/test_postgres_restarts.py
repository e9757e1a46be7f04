"""A PostgreSQL server that restarts, refuses connections or only reads: nothing is lost, the log is short."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.contract.errors import StorageFailed
from gateway.store.sql_store import SqlStore
from tests.store.commit_cutter import cutting_commits
from tests.store.exchanges import answer, ask, question
from tests.store.postgres import PostgresServer, postgres_server, requires_postgres
from tests.store.rigs import PostgresRig

pytestmark = [pytest.mark.live, requires_postgres()]

ENDS = [signal.SIGINT, signal.SIGQUIT]


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        server.start()
        yield server


@pytest.fixture
def server(own_server: PostgresServer) -> Iterator[PostgresServer]:
    yield own_server
    if not own_server.running:
        own_server.start()


@pytest.fixture
def rig(server: PostgresServer) -> PostgresRig:
    return PostgresRig(server.emptied())


@pytest.fixture
async def store(rig: PostgresRig, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqlStore]:
    monkeypatch.setattr("gateway.store.probe.FRESH_S", 0.0)
    async with asyncio.timeout(60), (store := rig.store()).running():
        yield store


async def start(server: PostgresServer) -> None:
    server.launch()  # here: the server would end with a thread that started it
    await asyncio.to_thread(server.await_ready)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
async def test_an_end_that_readers_got_is_written_when_the_server_is_back(
    server: PostgresServer, store: SqlStore, caplog: pytest.LogCaptureFixture, end: signal.Signals
) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    await asyncio.to_thread(server.stop, end)
    for _ in range(3):
        with pytest.raises(StorageFailed) as refused:
            await store.begin(question())
        assert refused.value.retry_after_s is not None
    with pytest.raises(StorageFailed):
        await store.finish(answer(exchange, "all of it"))
    store.finish_later(answer(exchange, "all of it", status="failed", reason="storage_failed"))
    with pytest.raises(StorageFailed):
        await store.reply("local", "s1")
    with pytest.raises(StorageFailed, match=r"takes no changes: PostgreSQL at /.*:5432 cannot be reached: "):
        await store.ping()
    await start(server)
    await store.ping()

    kept = await store.reply("local", "s1")
    assert (kept.status, kept.reason, kept.content) == ("failed", "storage_failed", "all of it")
    assert len(store._unwritten) == 0
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]
    assert len(lines(caplog)) < 6, lines(caplog)
    assert lines(caplog)[-1] == "the database takes changes again"


async def test_a_restart_between_two_questions_is_not_noticed(
    server: PostgresServer, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    first = await ask(store, "q", "a")
    await asyncio.gather(*(store.messages("local", first.session_id) for _ in range(20)))
    await asyncio.to_thread(server.stop, signal.SIGINT)
    await start(server)

    await ask(store, "q", "a", first.session_id)
    assert len(await store.messages("local", first.session_id)) == 4
    assert lines(caplog) == []


async def test_many_who_ask_during_restarts_are_answered_or_refused_and_the_database_agrees(
    server: PostgresServer, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    asked: dict[str, bool] = {}

    async def ask_on(name: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            stream_id = f"{name}-{number}"
            try:
                exchange = await store.begin(question(stream_id=stream_id))
                asked[stream_id] = True
                ended = answer(exchange, "a")
                try:
                    assert await store.finish(ended)
                except StorageFailed:
                    store.finish_later(ended)
            except StorageFailed:
                asked[stream_id] = False
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for caller in range(10):
            tasks.create_task(ask_on(f"caller-{caller}"))
        for end in (*ENDS, signal.SIGINT):
            await asyncio.to_thread(server.stop, end)
            await start(server)
            await store.ping()
            sure = await store.begin(question())  # changes are taken again
            await store.finish(answer(sure))
        stop.set()
    await store.create_session("local", "what is owed is written before it")

    wanted = {stream_id for stream_id, begun in asked.items() if begun}
    rows = server.sql(
        "SELECT stream_id, status FROM messages WHERE role = 'assistant' AND stream_id LIKE 'caller-%'",
        "shared",
    )
    kept = dict(row.split("|") for row in rows.splitlines())
    assert set(kept) == wanted
    assert set(kept.values()) == {"complete"}
    assert not [record for record in caplog.records if record.exc_info]


async def test_no_free_connection_is_away_until_one_is_free(
    server: PostgresServer, rig: PostgresRig, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(server.stop, signal.SIGINT)
    server.start("max_connections=6", "superuser_reserved_connections=0", "max_wal_senders=0")
    others = [await rig.connect() for _ in range(6)]
    with pytest.raises(StorageFailed, match="too many clients"):
        async with asyncio.timeout(30), rig.store().running():
            pass
    await others.pop().close()
    async with asyncio.timeout(60), (store := rig.store()).running():
        exchange = await ask(store, "q", "a")
        with pytest.raises(StorageFailed):
            await store.messages("local", exchange.session_id)
        for other in others:
            await other.close()
        assert len(await store.messages("local", exchange.session_id)) == 2
    await asyncio.to_thread(server.stop, signal.SIGINT)
    await start(server)
    assert "Traceback" not in caplog.text


async def test_a_database_that_only_reads_takes_no_changes_and_is_read(
    server: PostgresServer, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = await ask(store, "q", "a")
    server.sql("ALTER DATABASE shared SET default_transaction_read_only = on")
    server.sql(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'sluice'"
    )
    with pytest.raises(StorageFailed, match="read-only transaction"):
        await store.begin(question())
    assert len(await store.messages("local", exchange.session_id)) == 2
    server.sql("ALTER DATABASE shared RESET default_transaction_read_only")
    server.sql(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'sluice'"
    )

    await ask(store, "q", "a", exchange.session_id)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("reaches_server", [True, False])
async def test_a_commit_whose_answer_was_lost_is_made_once(
    server: PostgresServer, rig: PostgresRig, caplog: pytest.LogCaptureFixture, reaches_server: bool
) -> None:
    async with asyncio.timeout(60), cutting_commits(server) as cutter:
        through = PostgresRig(cutter.url_of(rig.url))
        async with (store := through.store()).running():
            await store.create_session("local", "before")
            cutter.cut_next(reaches_server=reaches_server)
            begun = await store.begin(question(stream_id="s1"))
            assert (await store.reply("local", "s1")).id == begun.assistant_message_id
            assert cutter.cuts == 1
            await store.create_session("local", "after")
            assert len(await store.sessions("local")) == 3
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
