"""Replies that go on after the gateway which began them has died."""

import asyncio
from collections.abc import Collection, Iterable

import pytest

from gateway.contract.adoption import TakenOver
from gateway.contract.continued import EPOCH_EVENTS
from gateway.contract.errors import Unreachable
from gateway.contract.events import Delta, Done, Failed, Finished, Reasoning, Started, ToolCall, Usage
from gateway.contract.reattach import Reattach
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities, Health, Hear
from gateway.core.mode_selector import ModeSelector
from tests.core.house import USER, house
from tests.core.town import END, Town, text_of, told
from transports.scripted import ScriptedTransport, Step

CALL = ToolCall("c1", "f", "{}")


async def healthy() -> Health:
    return Health(True, "well")


async def test_it_goes_on_and_each_character_is_there_once(town: Town) -> None:
    await town.leave_reply([Delta("Hel")], [Delta("lo ")])
    async with town.adopted([Delta("Hello y")], [Delta("ou")], END) as (home, run):
        events = await told(home, run)
        first = events[0]
        assert isinstance(first, Started)
        assert first.resume_url == f"/{run.stream_id}"
    end = events[-1]
    assert isinstance(end, Finished)
    assert text_of(events) == end.ending.full_content == town.message().content == "Hello you"
    assert (town.message().status, town.message().usage) == ("complete", Usage(2, 4, 6))
    assert (town.message().last_seq or 0) > EPOCH_EVENTS


async def test_one_of_which_nothing_was_stored_begins_again(town: Town) -> None:
    await town.leave_reply([Delta("Hel")], stored=False)
    async with town.adopted([Delta("Hello")], END) as (home, run):
        assert text_of(await told(home, run)) == "Hello"


async def test_reasoning_and_tool_calls_are_there_once(town: Town) -> None:
    await town.leave_reply([Reasoning("hm ")], [Delta("Hel")], [CALL])
    async with town.adopted([Reasoning("hm so"), Delta("Hel")], [CALL], [Delta("lo")], END) as (home, run):
        events = await told(home, run)
    assert "".join(event.text for event in events if isinstance(event, Reasoning)) == "hm so"
    assert text_of(events) == "Hello"
    assert [event for event in events if isinstance(event, ToolCall)] == [CALL]
    assert (town.message().reasoning, town.message().tool_calls) == ("hm so", (CALL,))


@pytest.mark.parametrize(
    "steps",
    [[[Delta("Help")], END], [[Delta("He")], END]],
    ids=["other text", "shorter"],
)
async def test_another_text_than_the_stored_one_is_interrupted(town: Town, steps: list[Step]) -> None:
    await town.leave_reply([Delta("Hell")])
    async with town.adopted(*steps) as (home, run):
        events = await told(home, run)
    end = events[-1]
    assert isinstance(end, Failed)
    assert (end.reason, end.ending.full_content) == ("interrupted", "Hell")
    assert (town.message().status, town.message().content) == ("interrupted", "Hell")


async def test_one_that_the_generator_does_not_have_is_interrupted(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    town.kept.clear()
    async with town.adopted(END, adopt_s=60) as (home, run):
        (*events, end) = await told(home, run)
    assert isinstance(end, Failed)
    assert (end.reason, text_of(events), town.message().status) == ("interrupted", "Hel", "interrupted")


async def test_a_generator_that_is_away_is_asked_again(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    tries: list[list[Step]] = [
        [Unreachable("away")],
        [[Delta("Hello")], Unreachable("broke")],
        [[Delta("Hello")], END],
    ]
    answers = iter(tries)

    def script(_: ChatRequest) -> Iterable[Step]:
        return next(answers)

    async with house(
        town.tmp_path, script, database=town.database, kept_requests=town.kept, ttl_s=60
    ) as home:
        await home.conversations.adoption(60).begin(alone=True)
        (run,) = home.runs.all()
        assert text_of(await told(home, run)) == "Hello"
    assert next(answers, None) is None


async def test_one_that_stays_away_is_interrupted(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    async with town.adopted(Unreachable("away")) as (home, run):
        end = (await told(home, run))[-1]
    assert isinstance(end, Failed)
    assert (end.reason, "away" in end.message) == ("interrupted", True)


async def test_its_generator_must_be_found_in_the_time_that_is_left(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    asked: list[float] = []

    async def away(wanted: Reattach, _: Hear) -> Done:
        asked.append(wanted.find_within_s)
        raise Unreachable("away")

    transport = ScriptedTransport(lambda _: (), abilities=Abilities(health=healthy, reattach=away))
    modes = ModeSelector({"scripted": transport}, "scripted")
    async with town.adopted(adopt_s=2, modes=modes) as (home, run):
        await told(home, run)
    assert asked == sorted(asked, reverse=True)
    assert 0 < asked[-1] < asked[0] <= 2


async def test_it_can_be_taken_over_again(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    async with town.adopted([Delta("Hello")]) as (home, run):
        with home.runs.following(run) as reader:
            while text_of(await reader.read() or ()) not in ("lo", "Hello"):
                pass
            killed = town.kill()
    killed()
    async with town.adopted([Delta("Hello you")], END) as (home, run):
        assert text_of(await told(home, run)) == "Hello you"
    assert town.message().epoch == 2


async def test_a_stop_ends_it_and_its_generator(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    async with town.adopted([Delta("Hello")]) as (home, run):
        with home.runs.following(run) as reader:
            await reader.read()
            outcome = await home.runs.stop(run.stream_id, USER)
            await home.transport.idle()
    assert (outcome.reason, town.message().status) == ("user_stop", "cancelled")


async def test_it_is_abandoned_if_no_reader_returns(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    async with town.adopted([Delta("Hello")], grace_s=0) as (_, run):
        await run.ended.wait()
    assert run.outcome is not None
    assert run.outcome.reason == "abandoned"


async def test_events_with_lengths_are_the_same_again(town: Town) -> None:
    before: list[Step] = [[Reasoning("h"), Reasoning("m")], [Delta("Hel"), Delta("lo")]]
    await town.leave_reply(*before, exact_events=True)
    again: list[Step] = [[Reasoning("h")], [Reasoning("m"), Delta("Hel")], [Delta("lo"), Delta(" you")], END]
    async with town.adopted(*again) as (home, run):
        events = await told(home, run)
    assert events[1:-1] == [Reasoning("h"), Reasoning("m"), Delta("Hel"), Delta("lo"), Delta(" you")]
    assert town.message().last_seq == 7


async def test_a_classic_reply_is_not_taken_over(town: Town) -> None:
    async with town.gateway([Delta("Hel")]) as home:
        run = await home.ask("Hi")
        assert all(kept.handle is None for kept in town.database.messages.values())
        await home.runs.end(run)


async def test_one_whose_generator_has_not_answered_yet_can_be_left_again(town: Town) -> None:
    await town.leave_reply([Delta("Hel")])
    async with town.adopted(Unreachable("away"), adopt_s=60) as (_, run):
        assert run.leave()


async def test_no_generator_is_asked_before_all_replies_are_taken_over(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.leave_reply([Delta("Hel")])
    order: list[str] = []

    def script(_: ChatRequest) -> Iterable[Step]:
        order.append("asked")
        return [[Delta("Hello")], END]

    async with house(
        town.tmp_path, script, database=town.database, kept_requests=town.kept, ttl_s=60
    ) as home:
        adopt = home.store.adopt

        async def taken(dead: Collection[str] | None) -> TakenOver:
            some = await adopt(dead)
            for _ in range(10):
                await asyncio.sleep(0)  # a reply that was taken over before would be asked for now
            order.append("taken")
            return some

        monkeypatch.setattr(home.store, "adopt", taken)
        await home.conversations.adoption(60).begin(alone=True)
        (run,) = home.runs.all()
        await told(home, run)
    assert order == ["taken", "taken", "asked"]
