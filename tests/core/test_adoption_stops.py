"""A stop of an adopted reply reaches its generator at any moment, and nobody else stops it."""

import asyncio

import pytest

from gateway.contract.errors import Unreachable
from gateway.contract.events import Delta
from gateway.contract.reattach import Reattachable
from gateway.contract.traces import BegunReply, NoSpan, ReplySpan
from gateway.core.access import OwnerAccess
from gateway.core.run import LEFT, TAKEN_OVER, USER_STOP, Run
from gateway.core.runs import Runs
from gateway.core.stops import Stops
from gateway.store.local_signals import LocalHub, LocalSignals
from tests.core.house import USER, House
from tests.core.town import END, Town, heard, told
from transports.scripted import Step


async def asked_of(home: House, run: Run) -> Reattachable:
    """Return what the transport got for this reply."""
    await heard(home, run, "Hel")
    (request,) = home.transport.open_requests
    assert request.reattachable is not None
    return request.reattachable


class StopAtBegin:
    """Stops each reply at its begin, before its task has run."""

    def __init__(self) -> None:
        self.runs: Runs | None = None

    def reply(self, begun: BegunReply) -> ReplySpan:
        assert self.runs is not None
        self.runs.find(begun.stream_id, USER).settle(USER_STOP)
        return NoSpan()


async def test_a_stop_before_it_is_received_again(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    traces = StopAtBegin()
    async with town.gateway([Delta("Hello")], END, traces=traces) as home:
        traces.runs = home.runs
        await home.conversations.adoption(0).begin(alone=True)
        await home.runs.end_all()
        assert home.transport.seen_requests == []
    assert (town.message().reason, town.message().content) == ("user_stop", "Hel")
    assert town.kept == {}


async def test_a_stop_while_its_generator_is_away(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    paused = asyncio.Event()

    async def sleep(_: float) -> None:
        paused.set()
        await asyncio.Event().wait()

    async with town.adopted(Unreachable("away"), adopt_s=60, sleep=sleep) as (home, run):
        await paused.wait()
        outcome = await home.runs.stop(run.stream_id, USER)
    assert (outcome.reason, town.message().status) == ("user_stop", "cancelled")
    assert town.kept == {}


@pytest.mark.parametrize("steps", [[[Delta("Help")]], [Unreachable("away")]], ids=["other text", "away"])
async def test_one_that_is_given_up_is_stopped(town: Town, steps: list[Step]) -> None:
    await town.leave_reply([Delta("Hell")])
    async with town.adopted(*steps) as (home, run):
        await told(home, run)
    assert town.message().status == "interrupted"
    assert town.kept == {}


async def test_one_that_is_complete_is_not_stopped(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    async with town.adopted([Delta("Hello")], END) as (home, run):
        await told(home, run)
    assert len(town.kept) == 1


async def test_the_gateway_that_lost_it_does_not_stop_it(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    async with town.adopted([Delta("Hello")]) as (home, run):
        await heard(home, run, "Hello")
        town.kept_row().epoch += 1
        await home.checkpoints.keep_all(unchanged=True)
        await run.ended.wait()
    assert run.outcome is TAKEN_OVER
    assert len(town.kept) == 1


async def test_a_user_stops_the_generator_of_a_fenced_gateway(town: Town) -> None:
    async with town.gateway([Delta("Hel")]) as home:
        run = await home.ask("Hi", resumable=True)
        kept = await asked_of(home, run)
        home.runs.fence(True)
        await home.runs.stop(run.stream_id, USER)
        assert not kept.is_left()


async def test_a_loss_that_is_noticed_at_the_end_stops_nothing(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    async with town.adopted([Delta("Hello")]) as (home, run):
        await heard(home, run, "Hello")
        town.kept_row().epoch += 1
        await home.runs.end(run)
    assert run.outcome is TAKEN_OVER
    assert len(town.kept) == 1


@pytest.mark.parametrize("how", ["taken over", "left"])
async def test_a_stop_at_a_gateway_that_loses_it_goes_to_the_one_that_has_it(town: Town, how: str) -> None:
    async with town.gateway([Delta("Hel")]) as home, town.gateway([Delta("Hello")]) as other:
        run = await home.ask("Hi", resumable=True)
        await heard(home, run, "Hel")
        await other.conversations.adoption(0).begin(alone=True)
        if how == "left":
            run.settle(LEFT)
        hub = LocalHub()
        here, there = LocalSignals("a", hub), LocalSignals("b", hub)
        Stops(other.runs, other.store, OwnerAccess(), there)
        async with here.running(), there.running():
            answer = await Stops(home.runs, home.store, OwnerAccess(), here).stop(run.stream_id, USER)
    assert answer == ("cancelled", "user_stop")


async def test_a_gateway_that_stops_takes_nothing_over(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    async with town.gateway([Delta("Hello")], END) as home:
        await home.runs.end_all()
        await home.conversations.adoption(0).begin(alone=True)
    assert (town.message().status, town.message().epoch) == ("streaming", 0)


async def test_a_stop_before_anybody_has_taken_it_over_waits_for_that(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    async with town.gateway([Delta("Hello")]) as home:
        adoption = home.conversations.adoption(0)
        pauses = 0

        async def sleep(_: float) -> None:
            nonlocal pauses
            pauses += 1
            if pauses == 2:
                await adoption.begin(alone=True)
            await asyncio.sleep(0)

        stream_id = town.message().stream_id or ""
        stops = Stops(home.runs, home.store, OwnerAccess(), LocalSignals("a", LocalHub()), sleep=sleep)
        answer = await stops.stop(stream_id, USER)
    assert (answer, pauses > 2) == (("cancelled", "user_stop"), True)
