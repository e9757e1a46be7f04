"""Deadlines: one timer for many waits of the same length."""

import asyncio
from asyncio import Queue, get_running_loop

import pytest

from gateway.contract.deadlines import Deadlines


async def test_items_that_stay_are_missed_in_their_order() -> None:
    missed: Queue[str] = Queue()
    deadlines: Deadlines[str] = Deadlines(0.01, missed.put_nowait)
    for item in "abc":
        deadlines.add(item)
    deadlines.remove("b")
    deadlines.remove("never added")
    assert [await missed.get(), await missed.get()] == ["a", "c"]
    assert missed.empty()


async def test_a_later_item_has_all_of_its_time() -> None:
    missed: Queue[str] = Queue()
    deadlines: Deadlines[str] = Deadlines(0.05, missed.put_nowait)
    deadlines.add("a")
    await asyncio.sleep(0.03)
    added = get_running_loop().time()
    deadlines.add("b")
    assert [await missed.get(), await missed.get()] == ["a", "b"]
    assert get_running_loop().time() - added >= 0.05


async def test_it_can_be_used_again_when_nothing_was_left() -> None:
    missed: Queue[str] = Queue()
    deadlines: Deadlines[str] = Deadlines(0.01, missed.put_nowait)
    deadlines.add("a")
    deadlines.remove("a")
    await asyncio.sleep(0.03)
    deadlines.add("b")
    assert await missed.get() == "b"


async def test_many_items_have_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = get_running_loop()
    timers = 0
    call_at = loop.call_at

    def counted(when: float, *rest: object) -> asyncio.TimerHandle:
        nonlocal timers
        timers += 1
        return call_at(when, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_at", counted)
    deadlines: Deadlines[int] = Deadlines(30, lambda item: None)
    for item in range(100):
        deadlines.add(item)
        deadlines.remove(item)
    assert timers == 1
