"""How much of what is unwritten is held, and what a late commit leaves behind in a real SQLite file."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from gateway.contract.branches import FIRST, Branch
from gateway.contract.errors import StorageFailed
from gateway.contract.exchanges import IdempotencyClaim, NewExchange
from gateway.store.sql_store import SqlStore
from gateway.store.unwritten_ends import UnwrittenEnds
from tests.store.exchanges import answer, question
from tests.store.faults import moved_away
from tests.store.rigs import SqliteRig


@pytest.fixture
def rig(tmp_path: Path) -> SqliteRig:
    return SqliteRig(tmp_path)


@pytest.fixture
async def store(rig: SqliteRig) -> AsyncIterator[SqlStore]:
    async with asyncio.timeout(30), (store := rig.store()).running():
        yield store


@pytest.mark.parametrize(("max_ends", "max_bytes"), [(2, 10**9), (1000, 30_000)])
async def test_the_oldest_are_dropped_beyond_a_number_and_a_size(
    rig: SqliteRig, store: SqlStore, caplog: pytest.LogCaptureFixture, max_ends: int, max_bytes: int
) -> None:
    begun = [await store.begin(question()) for _ in range(4)]
    ends = UnwrittenEnds(
        store._writer, store._replies.finish, rig._clock, max_ends=max_ends, max_bytes=max_bytes
    )
    with moved_away(rig.file):
        for exchange in begun:
            ends.add(answer(exchange, "x" * 3000, status="failed", reason="storage_failed"))
        assert len(ends) == 2
    await store.create_session("local", "")

    statuses = [(await store.messages("local", exchange.session_id))[1].status for exchange in begun]
    assert statuses == ["streaming", "streaming", "failed", "failed"]
    assert f"message {begun[0].assistant_message_id} is lost" in caplog.text


class Commits:
    """Holds every commit of a store until it is let go. In the writer's thread."""

    def __init__(self, store: SqlStore) -> None:
        self._loop = asyncio.get_running_loop()
        self.reached = asyncio.Event()
        self._go = threading.Event()
        event.listen(store._database._writing, "commit", self._hold)  # type: ignore[attr-defined]

    def _hold(self, _: Connection) -> None:
        self._loop.call_soon_threadsafe(self.reached.set)
        self._go.wait(5)

    def let_go(self) -> None:
        self._go.set()


async def test_a_question_that_is_committed_after_its_caller_gave_up_leaves_nothing_behind(
    store: SqlStore,
) -> None:
    claim = IdempotencyClaim("k", "f")
    commits = Commits(store)
    refused = asyncio.ensure_future(store.begin(question(stream_id="refused", idempotency=claim)))
    await commits.reached.wait()
    refused.cancel()
    await asyncio.wait([refused])
    again = asyncio.ensure_future(store.begin(question(stream_id="again", idempotency=claim)))
    await asyncio.sleep(0)  # it is handed over
    commits.let_go()

    begun = await again
    assert [session.id for session in await store.sessions("local")] == [begun.session_id]
    claimed = await store.claimed("local", "k")
    assert claimed is not None
    assert claimed.stream_id == "again"
    figures = await store.usage.figures()
    assert (figures.messages, figures.sessions) == (2, 1)


async def test_what_was_asked_behind_a_question_that_is_taken_back_goes_on_from_the_one_before(
    store: SqlStore,
) -> None:
    kept = await store.begin(question())
    refused = await store.begin(question(kept.session_id))
    behind = await store.begin(question(kept.session_id))
    undo = store._exchanges.begin.undo
    assert undo is not None
    await store._writer.do(undo, refused)

    messages = await store.messages("local", kept.session_id)
    parents = {message.id: message.parent_id for message in messages}
    assert parents[behind.user_message_id] == kept.assistant_message_id
    assert parents[behind.assistant_message_id] == behind.user_message_id


async def test_an_exchange_that_is_taken_back_leaves_a_question_that_has_another_reply(
    store: SqlStore,
) -> None:
    again = Branch(FIRST, "again")
    first = await store.begin(question())
    second = await store.begin(question(first.session_id, branch=again))
    third = await store.begin(question(first.session_id, branch=again))
    undo = store._exchanges.begin.undo
    assert undo is not None
    await store._writer.do(undo, second)
    await store._writer.do(undo, first)

    messages = await store.messages("local", first.session_id)
    assert [(message.id, message.parent_id) for message in messages] == [
        (first.user_message_id, None),
        (third.assistant_message_id, first.user_message_id),
    ]


async def test_what_took_too_long_is_rolled_back_or_taken_back(rig: SqliteRig) -> None:
    async with asyncio.timeout(30), (store := rig.store()).running():
        writing = threading.Event()
        slow = _Slow(store, writing)
        store._writer._deadline_s = 0.01
        with pytest.raises(StorageFailed):
            await store.begin(question())
        store._writer._deadline_s = 10
        slow.go.set()
        await store.create_session("local", "after it")

        assert [session.title for session in await store.sessions("local")] == ["after it"]


class _Slow:
    """Lets the first question be inserted, and then waits before its transaction goes on."""

    def __init__(self, store: SqlStore, writing: threading.Event) -> None:
        self.go = threading.Event()
        begin = store._exchanges.begin
        apply = begin.apply

        def slowly(connection: Connection, wanted: Sequence[NewExchange]) -> object:
            begun = apply(connection, wanted)
            self.go.wait(5)
            return begun

        object.__setattr__(begin, "apply", slowly)


async def test_an_end_that_is_still_owed_at_the_end_is_tried_again(rig: SqliteRig) -> None:
    async with asyncio.timeout(30):
        async with (store := rig.store()).running():
            exchange = await store.begin(question())
            with moved_away(rig.file):
                store.finish_later(answer(exchange, "told", status="failed", reason="storage_failed"))
                with pytest.raises(StorageFailed):
                    await store.create_session("local", "")
        async with (again := rig.store()).running():
            kept = (await again.messages("local", exchange.session_id))[1]
    assert (kept.status, kept.reason, kept.content) == ("failed", "storage_failed", "told")
