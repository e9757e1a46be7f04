"""How the writer groups what waits, and what becomes of the callers when the database fails."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.contract.errors import Conflict, NotFound, StorageFailed
from gateway.store.waiting_changes import MAX_GROUP, MAX_URGENT
from gateway.store.writer import MAX_WAITING, Write, Writer
from tests.store.ledger import AWAY, Ledger, failing


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def writer(ledger: Ledger) -> AsyncIterator[Writer]:
    async with asyncio.timeout(30), (writer := Writer(ledger.transact)).running():
        yield writer


async def test_all_that_waits_goes_into_one_transaction_up_to_a_group(ledger: Ledger, writer: Writer) -> None:
    note = Write(ledger.note, rank=0)

    doubled = await asyncio.gather(*(writer.do(note, number) for number in range(MAX_GROUP + 5)))

    assert doubled == [2 * number for number in range(MAX_GROUP + 5)]
    assert ledger.kept == [list(range(MAX_GROUP)), list(range(MAX_GROUP, MAX_GROUP + 5))]


async def test_kinds_are_applied_by_rank_and_callers_in_order(ledger: Ledger, writer: Writer) -> None:
    later, earlier = Write(ledger.note, rank=2), Write(ledger.note, rank=1)

    await asyncio.gather(
        writer.do(later, 3), writer.do(earlier, 1), writer.do(later, 4), writer.do(earlier, 2)
    )

    assert ledger.kept == [[1, 2, 3, 4]]


async def test_kinds_that_are_alone_get_a_transaction_each_behind_the_others(
    ledger: Ledger, writer: Writer
) -> None:
    last, removal, note = (
        Write(ledger.note, rank=9, alone=True),
        Write(ledger.note, rank=8, alone=True),
        Write(ledger.note, rank=1),
    )

    await asyncio.gather(
        *(writer.do(write, number) for number, write in enumerate([last, note, removal, last, note]))
    )

    assert ledger.kept == [[1, 4], [2], [0, 3]]


async def test_of_a_crowd_some_urgent_changes_get_a_transaction_and_others_the_rest_of_it(
    ledger: Ledger, writer: Writer
) -> None:
    end, begin = Write(ledger.note, rank=2), Write(ledger.note, rank=1, urgent=True)
    ends, begins = range(MAX_GROUP), range(100, 100 + 3 * MAX_URGENT)

    async with asyncio.TaskGroup() as callers:
        for number in ends:
            callers.create_task(writer.do(end, number))
        for number in begins:
            callers.create_task(writer.do(begin, number))

    left = MAX_GROUP - MAX_URGENT
    assert ledger.kept == [
        [*begins[:MAX_URGENT], *ends[:left]],
        [*begins[MAX_URGENT : 2 * MAX_URGENT], *ends[left:]],
        [*begins[2 * MAX_URGENT :]],
    ]


async def test_a_caller_hears_nothing_before_the_commit(ledger: Ledger, writer: Writer) -> None:
    ledger.commits.clear()
    writing = asyncio.ensure_future(writer.do(Write(ledger.note, rank=0), 1))
    await ledger.begun.wait()
    await asyncio.sleep(0)

    assert not writing.done()

    ledger.commits.set()
    assert await writing == 2


async def test_a_rejection_reaches_its_caller_alone(ledger: Ledger, writer: Writer) -> None:
    def apply(_: Connection, numbers: Sequence[int]) -> list[int | NotFound]:
        return [NotFound("odd") if number % 2 else number for number in numbers]

    write: Write[int, int] = Write(apply, rank=0)

    even, odd = (asyncio.ensure_future(writer.do(write, number)) for number in (2, 1))

    assert await even == 2
    with pytest.raises(NotFound):
        await odd
    assert len(ledger.kept) == 1


async def test_what_cannot_be_written_fails_alone(
    ledger: Ledger, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    write = failing(lambda number: number == 1, OverflowError("too large"), ledger)

    outcomes = await asyncio.gather(
        *(writer.do(write, number) for number in range(3)), return_exceptions=True
    )

    assert [outcomes[0], type(outcomes[1]), outcomes[2]] == [0, StorageFailed, 4]
    assert ledger.kept == [[0], [2]]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_what_another_process_took_meanwhile_is_seen_at_a_second_look(
    ledger: Ledger, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    taken = [IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed"))]

    def apply(_: Connection, numbers: Sequence[int]) -> list[int | Conflict]:
        if taken:
            raise taken.pop()
        return [Conflict("It is taken.")] * len(numbers)

    with pytest.raises(Conflict):
        await writer.do(Write[int, int](apply, rank=0), 1)

    assert not caplog.records


async def test_a_database_that_is_away_fails_the_group_once_and_the_writer_goes_on(
    ledger: Ledger, writer: Writer
) -> None:
    attempts: list[int] = []

    def away(number: int) -> bool:
        attempts.append(number)
        return number < 3

    write = failing(away, AWAY, ledger)

    outcomes = await asyncio.gather(
        *(writer.do(write, number) for number in range(3)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [StorageFailed] * 3
    assert attempts == [0]
    assert await writer.do(write, 3) == 6


async def test_a_transaction_that_hangs_is_given_up(ledger: Ledger) -> None:
    ledger.commits = asyncio.Event()  # and nobody will set it
    note = Write(ledger.note, rank=0)
    async with asyncio.timeout(30), (writer := Writer(ledger.transact, deadline_s=0.05)).running():
        with pytest.raises(StorageFailed):
            await writer.do(note, 1)

        ledger.commits = asyncio.Event()
        ledger.commits.set()
        assert await writer.do(note, 2) == 4


@pytest.mark.parametrize(("needs_caller", "kept"), [(True, [[1], [3]]), (False, [[1], [2, 3]])])
async def test_only_a_change_that_needs_its_caller_is_dropped_with_it(
    ledger: Ledger, writer: Writer, needs_caller: bool, kept: list[list[int]]
) -> None:
    note = Write(ledger.note, rank=0)
    ledger.commits.clear()
    first = asyncio.ensure_future(writer.do(note, 1))
    await ledger.begun.wait()
    gone = asyncio.ensure_future(writer.do(Write(ledger.note, rank=0, needs_caller=needs_caller), 2))
    last = asyncio.ensure_future(writer.do(note, 3))
    await asyncio.sleep(0)  # all three are handed over

    gone.cancel()
    await asyncio.wait([gone])
    ledger.commits.set()
    await asyncio.gather(first, last)

    assert ledger.kept == kept


async def test_a_caller_that_leaves_during_the_commit_harms_nobody(ledger: Ledger, writer: Writer) -> None:
    note = Write(ledger.note, rank=0)
    ledger.commits.clear()
    gone, stays = (asyncio.ensure_future(writer.do(note, number)) for number in (1, 2))
    await ledger.begun.wait()
    gone.cancel()
    ledger.commits.set()

    assert await stays == 4
    assert gone.cancelled()


async def test_more_than_may_wait_is_refused_at_once(ledger: Ledger, writer: Writer) -> None:
    note = Write(ledger.note, rank=0)
    ledger.commits.clear()
    waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(writer.do(note, 0))]
    await ledger.begun.wait()
    waiting += [asyncio.ensure_future(writer.do(note, number)) for number in range(MAX_WAITING)]
    await asyncio.sleep(0)

    with pytest.raises(StorageFailed):
        await writer.do(note, 1)

    ledger.commits.set()
    await asyncio.gather(*waiting)


async def test_leaving_early_still_commits_what_was_handed_over(ledger: Ledger) -> None:
    note = Write(ledger.note, rank=0)
    writer = Writer(ledger.transact)
    ledger.commits.clear()

    async def owner() -> None:
        async with writer.running():
            await asyncio.Event().wait()

    async with asyncio.timeout(30):
        owning = asyncio.ensure_future(owner())
        await asyncio.sleep(0)  # it runs
        begun = asyncio.ensure_future(writer.do(note, 1))
        await ledger.begun.wait()
        waiting = asyncio.ensure_future(writer.do(note, 2))
        await asyncio.sleep(0)  # it is handed over
        owning.cancel()
        await asyncio.sleep(0)  # the owner leaves
        ledger.commits.set()

        assert (await begun, await waiting) == (2, 4)
        await asyncio.wait([owning])
    assert owning.cancelled()


async def test_a_closed_writer_refuses(ledger: Ledger) -> None:
    writer = Writer(ledger.transact)

    with pytest.raises(StorageFailed, match="closed"):
        await writer.do(Write(ledger.note, rank=0), 1)


async def test_the_latest_transaction_is_known(ledger: Ledger, writer: Writer) -> None:
    def away(_: Connection, numbers: Sequence[int]) -> list[int]:
        raise AWAY

    assert writer.latest is None
    await writer.do(Write(ledger.note, rank=0), 1)
    assert writer.latest is not None
    assert writer.latest.failure is None
    with pytest.raises(StorageFailed, match="database is locked"):
        await writer.do(Write[int, int](away, rank=0), 1)
    assert writer.latest.failure is AWAY


async def test_a_database_that_stays_away_is_logged_once_and_so_is_its_return(
    ledger: Ledger, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write = failing(lambda number: number < 3, AWAY, ledger)
    for number in range(3):
        with pytest.raises(StorageFailed):
            await writer.do(write, number)
    await writer.do(write, 3)
    await writer.do(write, 4)
    assert caplog.messages == [
        "the database takes no changes: database is locked",
        "the database takes changes again",
    ]
