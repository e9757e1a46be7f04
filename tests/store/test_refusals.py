"""A real SQLite file that takes no changes: nothing is lost, it is known, and it ends when it is mended."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from gateway.contract.errors import StorageFailed
from gateway.contract.exchanges import IdempotencyClaim
from gateway.store.sql_store import SqlStore
from tests.store.exchanges import answer, question
from tests.store.faults import FAULTS
from tests.store.rigs import SqliteRig

Fault = Callable[[Path], AbstractContextManager[None]]

pytestmark = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)


@pytest.fixture
def rig(tmp_path: Path) -> SqliteRig:
    return SqliteRig(tmp_path)


@pytest.fixture
async def store(rig: SqliteRig, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqlStore]:
    monkeypatch.setattr("gateway.store.sqlite_file.BUSY_S", 0.05)
    monkeypatch.setattr("gateway.store.probe.FRESH_S", 0.0)
    async with asyncio.timeout(30), (store := rig.store()).running():
        yield store


async def test_a_question_is_refused_and_nothing_of_it_is_kept(
    rig: SqliteRig, store: SqlStore, fault: Fault
) -> None:
    claim = IdempotencyClaim("k", "f")
    with fault(rig.file), pytest.raises(StorageFailed) as refused:
        await store.begin(question(stream_id="refused", idempotency=claim))
    assert refused.value.retry_after_s is not None

    assert await store.sessions("local") == []
    begun = await store.begin(question(stream_id="taken", idempotency=claim))
    assert len(await store.messages("local", begun.session_id)) == 2


async def test_a_ping_fails_until_changes_are_taken_again(
    rig: SqliteRig, store: SqlStore, fault: Fault
) -> None:
    await store.ping()
    with fault(rig.file), pytest.raises(StorageFailed, match="takes no changes"):
        await store.ping()
    await store.ping()


async def test_an_end_that_was_told_is_given_to_readers_and_written_later(
    rig: SqliteRig, store: SqlStore, fault: Fault
) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    assert (await store.reply("local", "s1")).status == "streaming"
    told = answer(exchange, "all of it", status="failed", reason="storage_failed")
    with fault(rig.file):
        with pytest.raises(StorageFailed):
            await store.finish(answer(exchange, "all of it"))
        store.finish_later(told)
        with pytest.raises(StorageFailed):
            await store.ping()
        shown = await store.reply("local", "s1")
    await store.ping()  # what is owed is written with it

    kept = await store.reply("local", "s1")
    assert shown == kept
    assert (kept.status, kept.reason, kept.content) == ("failed", "storage_failed", "all of it")
    assert len(store._unwritten) == 0
