"""An adopted reply is measured and charged once, by the gateway that ends it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.contract.ended_reply import EndedReply
from gateway.contract.events import Delta, Usage
from gateway.contract.exchanges import Charge
from gateway.contract.limits import Quota
from gateway.contract.traces import BegunReply
from gateway.core.budgets import Budgets
from gateway.core.rate_limits import Allowance
from gateway.core.run import TAKEN_OVER
from tests.core.test_key_ring import MemoryKeys
from tests.core.town import END, Town, heard, told

LIMITED = Allowance(Quota("anna", 9), Quota("anna", 9), 7, 1000)
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass
class Spans:
    """Notes the replies whose spans begin."""

    begun: list[BegunReply] = field(default_factory=list)
    ended_replies: list[EndedReply] = field(default_factory=list)
    trace: str | None = None

    def reply(self, begun: BegunReply) -> "Spans":
        self.begun.append(begun)
        return self

    def ended(self, reply: EndedReply) -> None:
        self.ended_replies.append(reply)


async def adopted_and_left(town: Town, **more: Any) -> None:
    """Let a second gateway adopt the reply, and die too."""
    async with town.adopted([Delta("Hello")], **more) as (home, run):
        await heard(home, run, "Hello")
        await home.checkpoints.keep_all()
        killed = town.kill()
    killed()


async def test_it_is_counted_once_by_the_gateway_that_ends_it(town: Town) -> None:
    counted: list[EndedReply] = []
    await town.leave_reply([Delta("Hel")])
    async with town.adopted([Delta("Hello")], END, on_ended=counted.append) as (home, run):
        await told(home, run)
    (ended,) = counted
    assert (ended.reason, ended.usage, ended.is_complete) == ("stop", Usage(2, 4, 6), True)
    assert (ended.transport, ended.generated, ended.chunks) == ("scripted", True, 0)


@pytest.mark.parametrize("resumable", [True, False])
async def test_the_gateway_that_lost_it_does_not_count_it(town: Town, resumable: bool) -> None:
    counted: list[EndedReply] = []
    async with town.gateway([Delta("Hel")], on_ended=counted.append) as home:
        run = await home.ask("Hi", resumable=resumable, unattended=True)
        await heard(home, run, "Hel")
        town.kept_row().epoch += 1
        await home.checkpoints.keep_all()
        await run.ended.wait()
    assert run.outcome is TAKEN_OVER
    assert counted == []


async def test_the_gateway_that_is_stopped_leaves_it_uncounted(town: Town) -> None:
    counted: list[EndedReply] = []
    async with town.gateway([Delta("Hel")], on_ended=counted.append) as home:
        run = await home.ask("Hi", resumable=True)
        await heard(home, run, "Hel")
        run.leave = lambda: True
        await home.runs.end_all()
    assert town.message().status == "streaming"
    assert counted == []


async def test_the_time_to_the_first_content_is_that_of_the_first_gateway(town: Town) -> None:
    counted: list[EndedReply] = []
    await town.leave_reply([Delta("Hel")])
    handle = town.kept_row().handle
    assert handle is not None
    first_s = handle["reply"]["first_s"]
    async with town.adopted([Delta("Hello")], END, on_ended=counted.append) as (home, run):
        await told(home, run)
    assert counted[0].first_s == pytest.approx(first_s)
    assert town.message().ttft_ms == pytest.approx(1000 * first_s, abs=0.1)


async def test_an_unknown_time_to_the_first_content_is_not_made_up(town: Town) -> None:
    counted: list[EndedReply] = []
    await town.leave_reply([Delta("Hel")], stored=False)
    async with town.adopted([Delta("Hello")], END, on_ended=counted.append) as (home, run):
        await told(home, run)
    assert (counted[0].first_s, town.message().ttft_ms) == (None, None)
    assert counted[0].usage == Usage(2, 4, 6)


@pytest.mark.parametrize("stored", [True, False])
async def test_the_key_pays_once(town: Town, stored: bool) -> None:
    gateway: dict[str, Any] = {"budgets": Budgets(MemoryKeys())}
    await town.leave_reply([Delta("Hel")], stored=stored, allowance=LIMITED, gateway=gateway)
    await adopted_and_left(town, **gateway)
    async with town.adopted([Delta("Hello")], END, **gateway) as (home, run):
        await told(home, run)
    assert town.message().epoch == 2
    assert town.database.charges == [Charge(7, 6)]


async def test_an_estimate_is_of_the_whole_text(town: Town) -> None:
    gateway: dict[str, Any] = {"budgets": Budgets(MemoryKeys())}
    await town.leave_reply([Delta("x" * 398)], allowance=LIMITED, gateway=gateway)
    town.kept.clear()
    async with town.adopted(**gateway) as (home, run):
        await told(home, run)
    assert town.message().status == "interrupted"
    assert town.database.charges == [Charge(7, 101)]  # with the two characters of the prompt


async def test_its_span_belongs_to_the_trace_of_the_question(town: Town) -> None:
    spans = Spans()
    await town.leave_reply([Delta("Hel")], trace=PARENT, model="tiny", dialect="lam")
    async with town.adopted([Delta("Hello")], END, traces=spans) as (home, run):
        await told(home, run)
    (begun,) = spans.begun
    assert (begun.trace, begun.stream_id, begun.model_asked) == (PARENT, run.stream_id, "tiny")
    assert (begun.transport, begun.dialect) == ("scripted", "lam")
    assert [ended.reason for ended in spans.ended_replies] == ["stop"]
