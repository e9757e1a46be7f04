"""Servers of a pool that fail or fall silent: a reply of which nothing was seen is not lost with them."""

import asyncio
from uuid import uuid4

import pytest

from gateway.contract.errors import Unreachable, UpstreamFailed
from gateway.contract.events import Delta, Done, Progress
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.transport import Hear
from tests.transports.llama.test_servers import House, Killed, Server, broke_off
from transports.llama.known_server import KnownServer


def request_for(model: str | None = None) -> ChatRequest:
    return ChatRequest(uuid4().hex, [Turn("user", "hi")], model=model)


class Reading(Server):
    """Tells its progress with the prompt, and breaks off."""

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        hear([Progress("prompt", processed=1, total=2)])
        raise broke_off()


class Frozen(Server):
    """Takes every request, and answers nothing before `thawed`; says what it would when it is cancelled."""

    def __init__(self, *models: str, slots: int = 1) -> None:
        super().__init__(*models, slots=slots)
        self.taken = asyncio.Event()
        self.thawed = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        self.taken.set()
        try:
            await self.thawed.wait()
        except asyncio.CancelledError:
            hear([Delta("too late")])
            self.cancelled.set()
            raise
        hear([Delta("a")])
        return Done("stop")


async def test_progress_alone_keeps_no_request_at_a_server_that_broke_off() -> None:
    well = Server("a")
    async with House(Reading("a", slots=2), well).running() as house:
        heard: asyncio.Queue[object] = asyncio.Queue()
        asked = asyncio.ensure_future(house.all.answer(request_for(), heard.put_nowait))
        assert await heard.get() == [Progress("prompt", processed=1, total=2)]
        assert await heard.get() == [Delta("a")]
        asked.cancel()
        assert well.asked_for == ["a"]


async def test_a_reply_without_a_token_leaves_a_server_that_stops_answering_health_checks() -> None:
    frozen, well = Frozen("a", slots=9), Server("a")
    async with House(frozen, well, check_s=0.001).running() as house:
        heard: asyncio.Queue[object] = asyncio.Queue()
        asked = asyncio.ensure_future(house.all.answer(request_for(), heard.put_nowait))
        await frozen.taken.wait()
        frozen.well = False
        await frozen.cancelled.wait()
        assert await heard.get() == [Delta("a")], "of the first server's last words none is heard"
        asked.cancel()
    assert [request.broke_off for request in well.seen_requests] == [1]
    assert (frozen.asked_for, well.asked_for) == ([], ["a"])


async def test_a_reply_stays_at_a_silent_server_while_no_other_can_take_it() -> None:
    frozen, other = Frozen("a"), Server("b")
    async with House(frozen, other, check_s=0.001).running() as house:
        asked = asyncio.ensure_future(house.all.answer(request_for("a"), lambda _: None))
        await frozen.taken.wait()
        frozen.well = False
        for _ in range(5):
            frozen.checked.clear()
            await frozen.checked.wait()
        frozen.thawed.set()
        assert await asked == Done("stop")


async def test_a_reply_of_which_something_was_seen_stays_at_a_silent_server() -> None:
    first, second = Server("a", slots=9), Server("a")
    async with House(first, second, check_s=0.001).running() as house:
        await house.ask()
        first.well = False
        for _ in range(5):
            first.checked.clear()
            await first.checked.wait()
        assert len(first.open_requests) == 1
    assert second.asked_for == []


async def test_one_that_stops_answering_twice_in_a_row_is_a_suspects_second_and_last() -> None:
    frozen, well = Frozen("a", slots=9), Server("a")
    async with House(Killed("a", slots=99), frozen, well, check_s=0.001).running() as house:
        asked = asyncio.ensure_future(house.all.answer(request_for(), lambda _: None))
        await frozen.taken.wait()
        frozen.well = False
        with pytest.raises(UpstreamFailed, match="2 model servers broke off"):
            await asked
    assert well.asked_for == []


async def test_health_names_each_server_that_is_away() -> None:
    servers = [Server("a"), Server("b"), Server("c")]
    servers[1].well = False
    async with House(*servers).running() as house:
        health = await house.all.abilities.health()
        told = house.all.abilities.servers()
    assert (health.ok, health.detail) == (
        True,
        "2 of 3 model servers are ready; http://1 is away: as told",
    )
    assert [(each.url, each.ok, list(each.models), each.slots) for each in told] == [
        ("http://0", True, ["a"], 1),
        ("http://1", False, [], 0),
        ("http://2", True, ["c"], 1),
    ]


async def test_without_a_server_that_has_the_model_nothing_is_admitted() -> None:
    has_it, other = Server("a"), Server("b")
    async with House(has_it, other, check_s=0.001).running() as house:
        assert house.all.abilities.admit("a") == house.all.info
        await house.changes.get()
        has_it.well = False
        await house.changes.get()
        with pytest.raises(Unreachable, match="no server of a is ready") as refused:
            house.all.abilities.admit("a")
        assert refused.value.retry_after_s is not None
        assert list(house.all.abilities.models()) == ["b", "a"], "it can be asked for all the same"
        assert house.all.abilities.admit("nobody's") == house.all.info


async def test_one_late_answer_to_a_check_makes_a_server_the_last_choice_and_a_second_one_unhealthy() -> None:
    server = Server("a")
    known = KnownServer("http://0", server, quiet=True)
    states = []
    for late in (False, True, True, False, True, False):
        server.well, server.late = not late, late
        await known.check()
        states.append((known.well, known.is_doubted, known.silent))
    well, last_choice, away = (True, False, False), (True, True, False), (False, False, True)
    assert states == [well, last_choice, away, well, last_choice, well]


async def test_servers_that_are_all_late_once_take_requests() -> None:
    """As on a busy machine, or when this process was paused."""
    first, second = Server("a"), Server("a", slots=9)
    async with House(first, second).running() as house:
        first.well = second.well = False
        first.late = second.late = True
        for known in house.all._servers:
            await known.check()
        house.all.abilities.admit("a")
        await house.ask("a")
    assert second.asked_for == ["a"]


async def test_a_server_that_was_late_is_checked_again_soon() -> None:
    late, other = Server("a", slots=9), Server("a")
    async with House(late, other, check_s=60).running() as house:
        late.well, late.late = False, True
        house.all._servers[0].doubt()
        for _ in range(2):
            late.checked.clear()
            await late.checked.wait()
        await house.changes.get()
        await house.ask("a")
    assert other.asked_for == ["a"]
