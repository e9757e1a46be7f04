"""Deadlines: one timer for many waits of the same length."""

from collections.abc import Callable

import pytest

from gateway.contract.deadlines import Deadlines


class Loop:
    """A loop whose clock is moved by hand. timers: all that were set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers = 0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[..., None], *arguments: object) -> object:
        self.timers += 1
        self._due.append((when, lambda: call(*arguments)))
        return self._due[-1]

    def move_to(self, now: float) -> None:
        """Move the clock, and call what is due by then."""
        while due := [timer for timer in self._due if timer[0] <= now]:
            first = min(due, key=lambda timer: timer[0])
            self._due.remove(first)
            self.now = first[0]
            first[1]()
        self.now = now


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr("asyncio.get_running_loop", lambda: loop)
    return loop


def test_items_that_stay_are_missed_in_their_order(loop: Loop) -> None:
    missed: list[str] = []
    deadlines: Deadlines[str] = Deadlines(10, missed.append)
    for item in "abc":
        deadlines.add(item)
    deadlines.remove("b")
    deadlines.remove("never added")
    loop.move_to(9.9)
    assert missed == []
    loop.move_to(10)
    assert missed == ["a", "c"]


def test_a_later_item_has_all_of_its_time(loop: Loop) -> None:
    missed: list[str] = []
    deadlines: Deadlines[str] = Deadlines(10, missed.append)
    deadlines.add("a")
    loop.move_to(7)
    deadlines.add("b")
    loop.move_to(16.9)
    assert missed == ["a"]
    loop.move_to(17)
    assert missed == ["a", "b"]


def test_it_can_be_used_again_when_nothing_was_left(loop: Loop) -> None:
    missed: list[str] = []
    deadlines: Deadlines[str] = Deadlines(10, missed.append)
    deadlines.add("a")
    deadlines.remove("a")
    loop.move_to(20)
    deadlines.add("b")
    loop.move_to(30)
    assert missed == ["b"]


def test_a_missed_item_may_remove_and_add_others(loop: Loop) -> None:
    missed: list[str] = []

    def miss(item: str) -> None:
        missed.append(item)
        deadlines.remove("b")
        if item == "a":
            deadlines.add("c")

    deadlines: Deadlines[str] = Deadlines(10, miss)
    deadlines.add("a")
    deadlines.add("b")
    loop.move_to(10)
    assert missed == ["a"]
    loop.move_to(20)
    assert missed == ["a", "c"]


def test_many_items_have_one_timer(loop: Loop) -> None:
    deadlines: Deadlines[int] = Deadlines(10, lambda item: None)
    for item in range(100):
        deadlines.add(item)
        deadlines.remove(item)
    assert loop.timers == 1
