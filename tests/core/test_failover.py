"""Mode auto: a transport that fails before anything was seen of a reply is replaced by the next one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gateway.contract.errors import (
    GatewayError,
    ModelRefused,
    NotFound,
    NoWorker,
    Overloaded,
    TimedOut,
    TooLarge,
    Unavailable,
    Unreachable,
    UpstreamFailed,
    WorkerLost,
)
from gateway.contract.events import (
    Cancelled,
    Delta,
    Done,
    Failed,
    Finished,
    Progress,
    Reasoning,
    Started,
    ToolCall,
    Usage,
)
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities, Hear, TransportInfo
from gateway.core.breaker import Breaker
from gateway.core.limits import Limits
from gateway.core.mode_selector import AUTO, ModeSelector
from gateway.core.pacing import Pace
from gateway.core.stages.continuation import Continuation
from tests.core.house import USER, House, house
from transports.scripted import ScriptedTransport, Step, tokens, whole


def transport(name: str, *steps: Step) -> ScriptedTransport:
    return ScriptedTransport(lambda _: steps, name=name)


def auto(*transports: ScriptedTransport, failures: int = 5) -> ModeSelector:
    """Mode auto over these, in this order."""
    return ModeSelector(
        {each.info.name: each for each in transports},
        AUTO,
        breakers={
            each.info.name: Breaker(each.info.name, failures=failures, open_s=15, clock=time.monotonic)
            for each in transports
        },
    )


@asynccontextmanager
async def auto_house(tmp_path: Path, *transports: ScriptedTransport, **more: object) -> AsyncIterator[House]:
    async with house(tmp_path, lambda _: [], modes=auto(*transports), **more) as home:  # type: ignore[arg-type]
        yield home


async def kept(home: House) -> tuple[str, str, str | None, str | None]:
    """The reply's row: text, status, mode, delivery."""
    row = (await home.store.messages(USER, 1))[1]
    return row.content, row.status, row.mode, row.delivery


@pytest.mark.parametrize(
    "error",
    [Unreachable("away"), UpstreamFailed("500"), TimedOut("silent"), Overloaded("full"), WorkerLost("gone")],
    ids=lambda error: type(error).__name__,
)
async def test_a_failure_before_anything_was_seen_is_another_transports_turn(
    tmp_path: Path, error: GatewayError
) -> None:
    sse, mqtt = transport("sse", error), transport("mqtt", *tokens("Hel", "lo"))
    async with auto_house(tmp_path, sse, mqtt) as home:
        started, *deltas, finished = await home.answer("Hi")
        row = await kept(home)
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    assert deltas == [Delta("Hel"), Delta("lo")]
    assert (started.mode, finished.ending.mode) == ("sse", "mqtt")
    assert row == ("Hello", "complete", "mqtt", "token")


async def test_a_transport_is_told_whether_another_one_would_answer(tmp_path: Path) -> None:
    told: list[bool] = []

    def script(request: ChatRequest) -> list[Step]:
        told.append(request.other_answers())
        return [Unreachable("away")]

    sse, mqtt = ScriptedTransport(script, name="sse"), ScriptedTransport(script, name="mqtt")
    async with auto_house(tmp_path, sse, mqtt) as home:
        await home.answer("Hi")
    assert told == [True, False]


async def test_progress_is_nothing_that_was_seen(tmp_path: Path) -> None:
    waiting = Progress("queued", position=3)
    sse, mqtt = transport("sse", [waiting], Unreachable("away")), transport("mqtt", *tokens("Hi"))
    async with auto_house(tmp_path, sse, mqtt) as home:
        _, *told, finished = await home.answer("Hi")
    assert told == [waiting, Delta("Hi")]
    assert isinstance(finished, Finished)


@pytest.mark.parametrize("seen", [Delta("Hel"), Reasoning("hm"), ToolCall("1", "f", "{}")], ids=repr)
async def test_after_anything_was_seen_the_error_is_told(
    tmp_path: Path, seen: Delta | Reasoning | ToolCall
) -> None:
    sse, mqtt = transport("sse", [seen], WorkerLost("gone")), transport("mqtt", *tokens("no"))
    async with auto_house(tmp_path, sse, mqtt) as home:
        failed = (await home.answer("Hi"))[-1]
        row = await kept(home)
    assert isinstance(failed, Failed)
    assert (failed.code, failed.ending.mode) == ("worker_lost", "sse")
    assert row == ("Hel" if seen == Delta("Hel") else "", "failed", "sse", "token")
    assert mqtt.seen_requests == []


@pytest.mark.parametrize("error", [ModelRefused("too long"), TooLarge("too large")], ids=repr)
async def test_the_requests_own_fault_is_nobody_elses_turn(tmp_path: Path, error: GatewayError) -> None:
    sse, mqtt = transport("sse", error), transport("mqtt", *tokens("no"))
    modes = auto(sse, mqtt, failures=1)
    async with house(tmp_path, lambda _: [], modes=modes) as home:
        failed = (await home.answer("Hi"))[-1]
    assert isinstance(failed, Failed)
    assert failed.code == error.code
    assert mqtt.seen_requests == []
    assert modes.breakers() == {"sse": "closed", "mqtt": "closed"}


async def test_when_all_fail_the_last_ones_error_is_told_with_its_mode(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", Unreachable("away")), transport("mqtt", UpstreamFailed("It broke."))
    async with auto_house(tmp_path, sse, mqtt) as home:
        failed = (await home.answer("Hi"))[-1]
        row = await kept(home)
    assert isinstance(failed, Failed)
    assert (failed.message, failed.ending.mode) == ("It broke.", "mqtt")
    assert row == ("", "failed", "mqtt", "token")
    assert len(sse.seen_requests) == len(mqtt.seen_requests) == 1


async def test_what_the_first_counted_is_not_the_seconds(tmp_path: Path) -> None:
    sse = transport("sse", [Usage(9, 9, 18)], UpstreamFailed("It broke."))
    mqtt = transport("mqtt", *tokens("Hi"))
    async with auto_house(tmp_path, sse, mqtt) as home:
        finished = (await home.answer("Hi"))[-1]
    assert isinstance(finished, Finished)
    assert finished.ending.usage is None


async def test_the_seconds_whole_reply_is_paced_and_said_to_be_chunked(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", Unreachable("away")), transport("mqtt", *whole("all of it"))
    async with auto_house(tmp_path, sse, mqtt) as home:
        started, *deltas, finished = await home.answer("Hi", pace=Pace(size=5))
        row = await kept(home)
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    assert (started.delivery, finished.ending.delivery) == ("token", "chunked")
    assert deltas == [Delta("all o"), Delta("f it")]
    assert row == ("all of it", "complete", "mqtt", "chunked")


async def test_an_empty_reply_is_a_reply(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", [Done("stop")]), transport("mqtt", *tokens("no"))
    async with auto_house(tmp_path, sse, mqtt) as home:
        finished = (await home.answer("Hi"))[-1]
    assert isinstance(finished, Finished)
    assert finished.ending.full_content == ""
    assert mqtt.seen_requests == []


async def test_one_deadline_is_for_all_of_it(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", Unreachable("away")), transport("mqtt")
    async with auto_house(tmp_path, sse, mqtt, limits=Limits(deadline_s=1)) as home:
        failed = (await home.answer("Hi"))[-1]
    assert isinstance(failed, Failed)
    assert (failed.code, failed.message) == ("timeout", "The reply took longer than 1 s.")
    assert 0 < mqtt.seen_requests[0].deadline_s < sse.seen_requests[0].deadline_s == 1


async def test_what_the_first_took_is_gone_for_the_second(tmp_path: Path) -> None:
    async def take_most_of_it() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.Event().wait()

    sse = transport("sse", take_most_of_it, Unreachable("away"))
    mqtt = transport("mqtt", take_most_of_it, *tokens("late"))
    async with auto_house(tmp_path, sse, mqtt, limits=Limits(deadline_s=0.5)) as home:
        assert isinstance((await home.answer("Hi"))[-1], Failed)


async def test_a_deadline_leaves_nobody_to_turn_to_and_is_a_failure_of_the_silent(tmp_path: Path) -> None:
    sse, mqtt = transport("sse"), transport("mqtt", *tokens("no"))
    modes = auto(sse, mqtt, failures=1)
    async with house(tmp_path, lambda _: [], modes=modes, limits=Limits(deadline_s=1)) as home:
        failed = (await home.answer("Hi"))[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "timeout"
    assert mqtt.seen_requests == []
    assert modes.breakers()["sse"] == "open"


async def test_a_reply_that_is_only_long_is_no_failure_of_its_transport(tmp_path: Path) -> None:
    sse = transport("sse", [Delta("on and on")])
    modes = auto(sse, failures=1)
    async with house(tmp_path, lambda _: [], modes=modes, limits=Limits(deadline_s=1)) as home:
        failed = (await home.answer("Hi"))[-1]
    assert isinstance(failed, Failed)
    assert (failed.code, failed.ending.full_content) == ("timeout", "on and on")
    assert modes.breakers() == {"sse": "closed"}


async def test_a_stopped_reply_is_not_asked_of_the_next(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def hold() -> None:
        asked.set()
        await asyncio.Event().wait()

    sse, mqtt = transport("sse", hold), transport("mqtt", *tokens("no"))
    async with auto_house(tmp_path, sse, mqtt) as home:
        run = await home.ask("Hi")
        with home.runs.following(run):
            await asked.wait()
            outcome = await home.runs.stop(run.stream_id, USER)
    assert outcome.reason == "user_stop"
    assert mqtt.seen_requests == []
    assert sse.open_requests == []


class BreaksWhenStopped(ScriptedTransport):
    """Cannot be left without trouble."""

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        try:
            return await super().answer(request, hear)
        finally:
            raise Unreachable("the connection broke while it was closed")


async def test_a_stop_that_ends_in_an_error_is_not_asked_of_the_next(tmp_path: Path) -> None:
    sse = BreaksWhenStopped(lambda _: [[Progress("queued", position=1)]], name="sse")
    mqtt = transport("mqtt", *tokens("no"))
    async with auto_house(tmp_path, sse, mqtt) as home:
        run = await home.ask("Hi")
        with home.runs.following(run) as reader:
            told = list(await reader.read() or ())
            while not any(isinstance(event, Progress) for event in told):
                told += await reader.read() or ()
            outcome = await home.runs.stop(run.stream_id, USER)
            (end,) = await reader.read() or ()
    assert isinstance(end, Cancelled)
    assert outcome.reason == "user_stop"
    assert mqtt.seen_requests == []


async def test_an_open_breaker_is_passed_by(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", Unreachable("away")), transport("mqtt", *tokens("Hi"))
    modes = auto(sse, mqtt, failures=2)
    async with house(tmp_path, lambda _: [], modes=modes) as home:
        for _ in range(4):
            assert isinstance((await home.answer("Hi"))[-1], Finished)
        started = (await home.answer("Hi"))[0]
    assert isinstance(started, Started)
    assert started.mode == "mqtt"
    assert len(sse.seen_requests) == 2
    assert modes.breakers() == {"sse": "open", "mqtt": "closed"}


async def test_when_nobody_can_be_asked_nothing_is_kept_and_everybodys_reason_is_told(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", Unreachable("away")), transport("mqtt", UpstreamFailed("It broke."))
    async with house(tmp_path, lambda _: [], modes=auto(sse, mqtt, failures=1)) as home:
        await home.answer("Hi")
        with pytest.raises(Unavailable, match=r"sse .*: away; mqtt .*: It broke\.") as refusal:
            await home.ask("Hi again")
        sessions = await home.store.sessions(USER)
    assert refusal.value.status == 503
    assert refusal.value.retry_after_s is not None
    assert 0 < refusal.value.retry_after_s <= 15
    assert len(sessions) == 1


async def test_a_question_that_cannot_be_saved_holds_no_ones_place(tmp_path: Path) -> None:
    sse = transport("sse", Unreachable("away"))
    modes = ModeSelector(
        {"sse": sse}, AUTO, breakers={"sse": Breaker("sse", failures=1, open_s=0, clock=time.monotonic)}
    )
    async with house(tmp_path, lambda _: [], modes=modes) as home:
        await home.answer("Hi")
        assert modes.breakers() == {"sse": "half-open"}
        with pytest.raises(NotFound):
            await home.ask("Hi", session_id=99)
        modes.route(None)


async def test_an_empty_pool_of_workers_is_passed_by_without_a_mark(tmp_path: Path) -> None:
    def nobody_there(_: str | None) -> TransportInfo:
        raise NoWorker("no worker is ready", retry_after_s=5)

    mqtt = ScriptedTransport(lambda _: [], name="mqtt", abilities=Abilities(admit=nobody_there))
    sse = transport("sse", *tokens("Hi"))
    modes = auto(mqtt, sse, failures=1)
    async with house(tmp_path, lambda _: [], modes=modes) as home:
        started = (await home.answer("Hi"))[0]
    assert isinstance(started, Started)
    assert started.mode == "sse"
    assert modes.breakers() == {"mqtt": "closed", "sse": "closed"}


async def test_a_reply_that_goes_on_at_a_transport_is_not_repeated_by_the_next_one(tmp_path: Path) -> None:
    gone = WorkerLost("gone")
    scripts = iter([([Delta("one ")], gone), ([Delta("two ")], gone), tokens("three")])
    sse, mqtt = ScriptedTransport(lambda _: next(scripts), name="sse"), transport("mqtt", *tokens("no"))
    async with auto_house(tmp_path, sse, mqtt, stages=[Continuation(by_default=True)]) as home:
        finished = (await home.answer("Hi"))[-1]
        row = await kept(home)
    assert isinstance(finished, Finished)
    assert finished.ending.continued == (4, 8)
    assert row == ("one two three", "complete", "sse", "token")
    assert mqtt.seen_requests == []


async def test_a_failure_in_the_middle_of_a_text_that_goes_on_opens_no_breaker(tmp_path: Path) -> None:
    scripts = iter(
        [([Delta("one ")], TimedOut("silent")), ([Delta("two ")], TimedOut("silent")), tokens("three")]
    )
    sse = ScriptedTransport(lambda _: next(scripts), name="sse")
    modes = auto(sse, failures=1)
    async with house(tmp_path, lambda _: [], modes=modes, stages=[Continuation(by_default=True)]) as home:
        await home.answer("Hi")
    assert modes.breakers() == {"sse": "closed"}
