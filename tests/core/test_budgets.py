"""The copy in memory of the tokens that keys have used today."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

import pytest

from gateway.contract.errors import StorageFailed, TokenBudgetExceeded
from gateway.contract.events import Delta, Done, Usage
from gateway.contract.limits import Quota
from gateway.contract.requests import ChatRequest, Turn
from gateway.core.budgets import Budgets, Tab, prompt_chars
from gateway.core.rate_limits import Allowance
from gateway.core.reply_accumulator import ReplyAccumulator
from tests.core.test_key_ring import MemoryKeys

EVENING = datetime(2026, 1, 31, 23, 59, 30, tzinfo=UTC)
REQUEST = ChatRequest(id="1", turns=[Turn("user", "x" * 40)])


class CountingKeys(MemoryKeys):
    def __init__(self) -> None:
        super().__init__()
        self.counted: dict[tuple[date, int], int] = {}

    async def used_on(self, day: date, key_id: int | None = None) -> Mapping[int, int]:
        if self.away:
            raise StorageFailed("The database is away.")
        return {id: tokens for (on, id), tokens in self.counted.items() if on == day and key_id in (None, id)}


class Purse:
    def __init__(self) -> None:
        self.now = EVENING
        self.keys = CountingKeys()
        self.budgets = Budgets(self.keys, lambda: self.now)


def allowance(limit: int | None) -> Allowance:
    return Allowance(Quota("anna", 9), Quota("anna", 9), 1, limit)


async def test_the_limit_is_reached_and_ends_with_the_day() -> None:
    purse = Purse()
    purse.keys.counted[EVENING.date(), 1] = 100
    await purse.budgets.reload()
    purse.budgets.check(allowance(101))
    purse.budgets.check(allowance(None))
    with pytest.raises(TokenBudgetExceeded, match="2026-02-01T00:00:00Z") as refused:
        purse.budgets.check(allowance(100))
    assert refused.value.retry_after_s == 30
    assert purse.budgets.refused == {"key": 1}
    purse.now = datetime(2026, 2, 1, tzinfo=UTC)
    purse.budgets.check(allowance(100))
    assert purse.budgets.used(1) == 0


async def test_a_late_answer_of_the_database_takes_nothing_back() -> None:
    purse = Purse()
    purse.keys.counted[EVENING.date(), 1] = 100
    await purse.budgets.reload_key(1)
    purse.keys.counted[EVENING.date(), 1] = 70
    await purse.budgets.reload()
    assert purse.budgets.used(1) == 100


async def test_a_database_that_is_away_takes_nothing_back_either() -> None:
    purse = Purse()
    purse.keys.counted[EVENING.date(), 1] = 100
    await purse.budgets.reload()
    purse.keys.away = True
    await purse.budgets.reload_key(1)
    assert purse.budgets.used(1) == 100
    with pytest.raises(StorageFailed):
        await purse.budgets.reload()


def reply(*batches: list[Delta | Usage]) -> ReplyAccumulator:
    told = ReplyAccumulator(lambda: 0.0)
    for batch in batches:
        told.take(batch)
    return told


def charged(told: ReplyAccumulator) -> int:
    return Tab(Purse().budgets, 1, prompt_chars(REQUEST), kept=True).charge(told).tokens


def test_a_reply_costs_what_was_counted_else_a_token_for_four_characters() -> None:
    assert charged(reply([Delta("Hi")], [Usage(7, 3, 10)])) == 10
    assert charged(reply([Delta("x" * 20)], [Delta("y" * 3)])) == (40 + 23) // 4 + 1
    assert charged(reply()) == 0


def test_a_cached_reply_costs_nothing() -> None:
    cached = reply([Delta("Hi")], [Usage(7, 3, 10)])
    cached.done = Done("stop", "tiny", cached=True)
    assert charged(cached) == 0
