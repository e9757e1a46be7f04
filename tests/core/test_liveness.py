"""The heartbeat of a gateway: deaths, take-overs and fences. Time passes only when a test says so."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest

from gateway.contract.errors import StorageFailed
from gateway.contract.gateways import KnownGateway, Renewal
from gateway.core.liveness import AFTER_LOSS_S, AFTER_START_S, SEARCH_S, Liveness

UP_S = 3600.0


class Clock:
    """A clock, and a sleep that ends when the test lets a beat come."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._asleep = asyncio.Event()
        self._go = asyncio.Event()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, _: float) -> None:
        self._asleep.set()
        await self._go.wait()
        self._go.clear()

    async def beat(self, after_s: float = 1.0) -> None:
        """Let the next renewal come, and return when it is done."""
        async with asyncio.timeout(30):
            await self._asleep.wait()
            self.now += after_s
            self._asleep.clear()
            self._go.set()
            await self._asleep.wait()


class Database:
    """Implements Gateways. ahead_s: by which its clock is ahead of the gateway's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead_s = 0.0
        self.others: list[KnownGateway] = []
        self.dead_owners: set[str] = set()
        self.up_s = UP_S
        self.away = False
        self.was_missing = False
        self.removed: list[str] = []
        self.owned_streams: set[str] = set()
        self.released: list[str] = []
        self.released_first = asyncio.Event()
        self.left = False
        self.silent = False
        self.looked = 0
        self.looked_first = asyncio.Event()
        self.taken: asyncio.Queue[set[str]] = asyncio.Queue()

    async def renew(self) -> Renewal:
        self._check()
        return Renewal(tuple(self.others), self.was_missing, self.up_s, self._clock.now + self.ahead_s)

    async def leave(self) -> None:
        if self.silent:
            await asyncio.Event().wait()
        self._check()
        self.left = True

    async def dead(self, silent_s: float) -> Collection[str]:
        self._check()
        self.looked += 1
        self.looked_first.set()
        return self.dead_owners

    async def owned(self) -> Collection[str]:
        self._check()
        return set(self.owned_streams)

    async def release(self, stream_ids: Collection[str]) -> None:
        self.released += sorted(stream_ids)
        self.released_first.set()
        self.owned_streams -= set(stream_ids)

    async def remove(self, owners: Collection[str], silent_s: float) -> None:
        self.removed += sorted(owners)
        self.dead_owners -= set(owners)
        self.others = [other for other in self.others if other.owner not in owners]

    async def take_over(self, dead: Collection[str]) -> None:
        self._check()
        self.taken.put_nowait(set(dead))

    async def next_taken(self) -> set[str]:
        async with asyncio.timeout(30):
            return await self.taken.get()

    def dies(self, owner: str, silent_s: float = 3.1) -> None:
        self.others = [KnownGateway(owner, None, silent_s)]
        self.dead_owners = {owner}

    def _check(self) -> None:
        if self.away:
            raise StorageFailed("away")


class Fences:
    """Records the fences."""

    def __init__(self) -> None:
        self.seen: list[bool] = []
        self.called = asyncio.Event()

    def __call__(self, fenced: bool) -> None:
        self.seen.append(fenced)
        self.called.set()

    async def next(self) -> None:
        async with asyncio.timeout(30):
            await self.called.wait()
        self.called.clear()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(clock: Clock) -> Database:
    return Database(clock)


@asynccontextmanager
async def living(clock: Clock, database: Database, fences: Fences | None = None) -> AsyncIterator[Liveness]:
    liveness = Liveness(database, database.take_over, fences or Fences(), clock=clock, sleep=clock.sleep)
    async with asyncio.timeout(60), liveness.running():
        yield liveness


async def settled(clock: Clock, database: Database) -> None:
    """Let the time after a start pass, in which nobody is judged, and the first search."""
    for _ in range(int(AFTER_START_S)):
        await clock.beat()
    async with asyncio.timeout(30):
        await database.looked_first.wait()


async def test_replies_of_a_dead_gateway_are_taken_over_and_its_row_is_removed(
    clock: Clock, database: Database
) -> None:
    async with living(clock, database) as liveness:
        await settled(clock, database)
        database.dies("b/1")
        await clock.beat()

        assert await database.next_taken() == {"b/1"}
        await clock.beat()
        assert database.removed == ["b/1"]
        assert liveness.others == {}


async def test_a_gateway_that_renews_its_row_is_not_touched(clock: Clock, database: Database) -> None:
    async with living(clock, database) as liveness:
        await settled(clock, database)
        database.others = [KnownGateway("b/1", "http://b", 2.9)]
        looked = database.looked
        for _ in range(5):
            await clock.beat()

        assert liveness.others["b/1"].internal_url == "http://b"
        assert (database.looked, database.taken.empty()) == (looked, True)


async def test_replies_without_a_gateway_are_found_after_a_start_and_then_every_ten_seconds(
    clock: Clock, database: Database
) -> None:
    async with living(clock, database):
        await settled(clock, database)
        database.dead_owners = {"long-gone/1"}
        for _ in range(int(SEARCH_S) - 1):
            await clock.beat()
        assert database.taken.empty()
        await clock.beat()

        assert await database.next_taken() == {"long-gone/1"}


async def test_nobody_is_judged_within_two_seconds_of_a_start(clock: Clock, database: Database) -> None:
    database.dies("b/1", 100.0)
    async with living(clock, database):
        await clock.beat(AFTER_START_S - 0.1)
        assert (database.looked, database.taken.empty()) == (0, True)
        await clock.beat(0.2)

        assert await database.next_taken() == {"b/1"}


async def test_after_the_database_was_away_everybody_has_five_seconds(
    clock: Clock, database: Database
) -> None:
    async with living(clock, database):
        await settled(clock, database)
        looked = database.looked
        database.away = True
        for _ in range(10):
            await clock.beat()
        database.away = False
        database.dies("b/1", 11.0)
        for _ in range(int(AFTER_LOSS_S)):
            await clock.beat()
        assert (database.looked, database.taken.empty()) == (looked, True)
        await clock.beat()

        assert await database.next_taken() == {"b/1"}


async def test_after_a_restart_of_the_database_everybody_has_five_seconds(
    clock: Clock, database: Database
) -> None:
    async with living(clock, database):
        await settled(clock, database)
        looked = database.looked
        database.dies("b/1", 4.0)
        database.up_s = 0.5
        for _ in range(5):
            await clock.beat()
            database.up_s += 1
        assert database.looked == looked
        for _ in range(int(AFTER_LOSS_S)):
            await clock.beat()

        assert await database.next_taken() == {"b/1"}


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
async def test_after_the_databases_clock_was_set_everybody_has_five_seconds(
    clock: Clock, database: Database, step_s: float
) -> None:
    async with living(clock, database) as liveness:
        database.others = [KnownGateway("b/1", None, 0.5)]
        await settled(clock, database)
        looked = database.looked
        database.ahead_s = step_s
        database.dies("b/1", step_s)
        for _ in range(int(AFTER_LOSS_S)):
            await clock.beat()
        assert (database.looked, set(liveness.others)) == (looked, {"b/1"})
        await clock.beat()

        assert await database.next_taken() == {"b/1"}
        assert liveness.others == {}


async def test_a_database_whose_clock_was_set_back_behind_its_start_is_not_new(
    clock: Clock, database: Database
) -> None:
    database.up_s = -3000.0
    async with living(clock, database):
        await settled(clock, database)
        database.dies("b/1")
        await clock.beat()

        assert await database.next_taken() == {"b/1"}


async def test_a_gateway_that_was_frozen_judges_nobody_for_five_seconds(
    clock: Clock, database: Database
) -> None:
    async with living(clock, database):
        await settled(clock, database)
        looked = database.looked
        database.dies("b/1", 4.0)
        await clock.beat(after_s=10)
        await clock.beat()

        assert database.looked == looked


async def test_a_take_over_that_fails_is_tried_again(
    clock: Clock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: asyncio.Queue[int] = asyncio.Queue()
    failures: list[Exception] = [StorageFailed("away"), RuntimeError("a bug")]

    async def take_over(dead: Collection[str]) -> None:
        tried.put_nowait(len(failures))
        if failures:
            raise failures.pop(0)
        database.taken.put_nowait(set(dead))

    monkeypatch.setattr(database, "take_over", take_over)
    async with living(clock, database):
        await settled(clock, database)
        database.dies("b/1")
        for left in (2, 1, 0):
            await clock.beat()
            async with asyncio.timeout(30):
                assert await tried.get() == left

        assert await database.next_taken() == {"b/1"}


async def test_a_gateway_that_cannot_renew_is_fenced_before_it_is_dead_and_then_free_again(
    clock: Clock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fences = Fences()
    async with living(clock, database, fences) as liveness:
        await clock.beat()
        monkeypatch.setattr("gateway.core.liveness.FENCE_S", 0.0)
        await clock.beat(0)
        await fences.next()
        assert (liveness.fenced, fences.seen) == (True, [True])
        monkeypatch.undo()
        await clock.beat()

        assert (liveness.fenced, fences.seen) == (False, [True, False])


async def test_a_gateway_that_renews_in_time_is_not_fenced(clock: Clock, database: Database) -> None:
    fences = Fences()
    async with living(clock, database, fences) as liveness:
        for _ in range(20):
            await clock.beat()

        assert (liveness.fenced, fences.seen) == (False, [])


@pytest.mark.parametrize("away", [False, True])
async def test_a_normal_end_removes_the_row_if_the_database_answers(
    clock: Clock, database: Database, away: bool
) -> None:
    async with living(clock, database):
        await clock.beat()
        database.away = away

    assert database.left != away


async def test_a_database_that_does_not_answer_does_not_hold_up_the_end(
    clock: Clock, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway.core.liveness.LEAVE_S", 0.0)
    async with asyncio.timeout(30), living(clock, database):
        database.silent = True

    assert "will find that this one has ended: it took longer than 0 s" in caplog.text


async def test_a_database_that_is_away_refuses_the_start(clock: Clock, database: Database) -> None:
    database.away = True
    with pytest.raises(StorageFailed):
        async with living(clock, database):
            pass


async def test_the_log_says_once_that_the_row_is_not_renewed(
    clock: Clock, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with living(clock, database):
        await clock.beat()
        database.away = True
        for _ in range(5):
            await clock.beat()

    said = [record.getMessage() for record in caplog.records if "cannot show" in record.getMessage()]
    assert said == ["this gateway cannot show that it lives: away"]


async def test_it_tells_how_many_gateways_live_and_who_has_gone() -> None:
    clock = Clock()
    database = Database(clock)
    told: list[tuple[int, set[str]]] = []
    liveness = Liveness(
        database,
        database.take_over,
        lambda _: None,
        on_change=lambda others, lost: told.append((1 + len(others), set(lost))),
        clock=clock,
        sleep=clock.sleep,
    )
    one, two = (KnownGateway(name, None, 0.1) for name in ("one/1", "two/1"))
    database.others = [one, two]
    async with liveness.running():
        await clock.beat()
        database.others = [one, KnownGateway("two/1", None, 3.1)]
        await clock.beat()
        database.others = []
        await clock.beat()
    assert told == [(3, set()), (2, {"two/1"}), (1, {"one/1"})]


async def test_replies_that_a_gateway_owns_and_does_not_make_are_given_up(
    clock: Clock, database: Database
) -> None:
    made = {"made"}
    database.owned_streams = {"made", "forgotten", "begun just now"}
    liveness = Liveness(
        database,
        database.take_over,
        lambda _: None,
        made_here=lambda: made,
        clock=clock,
        sleep=clock.sleep,
    )
    async with asyncio.timeout(60), liveness.running():
        await settled(clock, database)
        made.add("begun just now")
        for _ in range(int(SEARCH_S) - 1):
            await clock.beat()
        assert database.released == [], "it may be beginning"
        await clock.beat()
        await database.released_first.wait()
        assert database.released == ["forgotten"]
