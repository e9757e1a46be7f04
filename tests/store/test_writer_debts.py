"""The writer's work without a caller: it undoes changes whose callers left, and retries failed changes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count

import pytest
from sqlalchemy import Connection

from gateway.contract.errors import StorageFailed
from gateway.store.writer import LAST_TRIES_S, Write, Writer
from tests.store.ledger import AWAY, Ledger, failing


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def writer(ledger: Ledger) -> AsyncIterator[Writer]:
    async with asyncio.timeout(30), (writer := Writer(ledger.transact)).running():
        yield writer


class Undoable:
    """A change that can be undone: the ledger records the undoing as the negative number."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.write = Write[int, int](
            ledger.note, rank=1, needs_caller=True, undo=Write[int, None](self._undo, rank=-1)
        )

    def _undo(self, connection: Connection, outcomes: Sequence[int]) -> list[None]:
        self._ledger.note(connection, [-outcome // 2 for outcome in outcomes])
        return [None] * len(outcomes)


async def test_what_is_made_after_its_caller_has_gone_is_taken_back_before_anything_else(
    ledger: Ledger, writer: Writer
) -> None:
    change = Undoable(ledger).write
    ledger.commits.clear()
    caller = asyncio.ensure_future(writer.do(change, 1))
    await ledger.begun.wait()
    caller.cancel()
    await asyncio.wait([caller])
    after = asyncio.ensure_future(writer.do(change, 2))
    await asyncio.sleep(0)  # the change is queued
    ledger.commits.set()

    assert await after == 4
    assert ledger.kept == [[1], [-1, 2]]


async def test_a_caller_who_is_cancelled_with_the_answer_in_hand_has_it_taken_back(
    ledger: Ledger, writer: Writer
) -> None:
    change = Undoable(ledger).write
    ledger.commits.clear()
    caller = asyncio.ensure_future(writer.do(change, 1))
    await ledger.begun.wait()

    def cancel_too_late(kept: list[int]) -> None:
        list.append(ledger.kept, kept)
        asyncio.get_running_loop().call_soon(caller.cancel)

    ledger.kept = Noting(cancel_too_late)
    ledger.commits.set()
    await asyncio.wait([caller])
    ledger.kept = Noting(lambda kept: list.append(ledger.kept, kept), ledger.kept)
    await writer.do(Write(ledger.note, rank=2), 9)

    assert caller.cancelled()
    assert [number for kept in ledger.kept for number in kept] == [1, -1, 9]


class Noting(list[list[int]]):
    """A list whose append() is replaced by the given function."""

    def __init__(self, append: Callable[[list[int]], None], before: Sequence[list[int]] = ()) -> None:
        super().__init__(before)
        self.append = append  # type: ignore[method-assign]


async def test_what_is_owed_is_tried_until_the_database_takes_it(ledger: Ledger) -> None:
    away = [AWAY] * 3

    def apply(connection: Connection, numbers: Sequence[int]) -> list[int]:
        if away:
            raise away.pop()
        return ledger.note(connection, numbers)

    async with asyncio.timeout(30), (writer := Writer(ledger.transact, retry_s=0.001)).running():
        assert await writer.owe(Write[int, int](apply, rank=0), 1) == 2
    assert ledger.kept == [[1]]


async def test_what_is_owed_goes_with_the_next_change_that_is_made(ledger: Ledger) -> None:
    away = [AWAY]

    def apply(connection: Connection, numbers: Sequence[int]) -> list[int]:
        if away:
            raise away.pop()
        return ledger.note(connection, numbers)

    write = Write[int, int](apply, rank=0)
    async with asyncio.timeout(30), (writer := Writer(ledger.transact, retry_s=60)).running():
        owed = writer.owe(write, 1)
        with pytest.raises(StorageFailed):
            await writer.do(write, 2)
        await writer.do(write, 3)
        assert await owed == 2
    assert ledger.kept == [[1, 3]]


async def test_what_is_owed_and_cannot_be_made_fails_alone(
    ledger: Ledger, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    write = failing(lambda number: number == 1, OverflowError("too large"), ledger)
    owed = writer.owe(write, 1)
    assert await writer.do(write, 2) == 4
    with pytest.raises(StorageFailed):
        await owed


async def test_what_is_owed_is_tried_for_a_while_after_the_end(ledger: Ledger) -> None:
    away = [AWAY, AWAY, AWAY]

    def apply(connection: Connection, numbers: Sequence[int]) -> list[int]:
        if away:
            raise away.pop()
        return ledger.note(connection, numbers)

    async with asyncio.timeout(30), (writer := Writer(ledger.transact, retry_s=0.001)).running():
        owed = writer.owe(Write[int, int](apply, rank=0), 1)
    assert await owed == 2
    assert ledger.kept == [[1]]


async def test_changes_that_a_silent_database_has_at_the_end_fail(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway.store.writer.LAST_TRIES_S", 0.0)
    note = Write(ledger.note, rank=0)
    ledger.commits.clear()

    async with asyncio.timeout(30):
        async with (writer := Writer(ledger.transact)).running():
            begun = writer.owe(note, 1)
            await ledger.begun.wait()
            owed, waiting = writer.owe(note, 2), asyncio.ensure_future(writer.do(note, 3))
            await asyncio.sleep(0)  # it is handed over

        for change in (begun, owed, waiting):
            with pytest.raises(StorageFailed, match="took too long"):
                await change
    assert "3 changes are lost" in caplog.text


async def test_what_cannot_be_made_for_a_while_after_the_end_fails(ledger: Ledger) -> None:
    tried: list[int] = []
    times = count(0.0, LAST_TRIES_S / 2)

    def apply(_: Connection, numbers: Sequence[int]) -> list[int]:
        tried.extend(numbers)
        raise AWAY

    writer = Writer(ledger.transact, retry_s=0.001, clock=lambda: next(times))
    async with asyncio.timeout(30), writer.running():
        owed = writer.owe(Write[int, int](apply, rank=0), 1)
    with pytest.raises(StorageFailed):
        await owed
    with pytest.raises(StorageFailed):
        await writer.owe(Write[int, int](apply, rank=0), 3)
    assert set(tried) == {1}
