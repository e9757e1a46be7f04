"""ReplyAccumulator: the state it collects from a transport's events, and the events it passes to readers."""

from collections.abc import Callable
from itertools import count

import pytest

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import (
    MAX_REPLY_CHARS,
    Delta,
    Progress,
    ReaderEvent,
    Reasoning,
    ToolCall,
    TransportEvent,
    Usage,
)
from gateway.contract.requests import ChatRequest, Turn
from gateway.core.reply_accumulator import ReplyAccumulator, merge_deltas, recording
from gateway.journals.memory import MemoryJournal, MemoryLog
from transports.scripted import ScriptedTransport, Step, tokens, whole


def ticking_reply() -> ReplyAccumulator:
    """A reply with a clock that advances one second per call."""
    ticks = count()
    return ReplyAccumulator(lambda: float(next(ticks)))


class RunUntil:
    """A run that is settled as soon as `is_over` returns True."""

    def __init__(self, is_over: Callable[[], bool] = lambda: False) -> None:
        self._is_over = is_over

    @property
    def outcome(self) -> object:
        return "complete" if self._is_over() else None


def request() -> ChatRequest:
    return ChatRequest(id="0" * 32, turns=[Turn("user", "hi")])


async def generated(*steps: Step) -> tuple[ReplyAccumulator, MemoryLog, list[object]]:
    transport = ScriptedTransport(lambda _: steps)
    reply, log = ticking_reply(), MemoryJournal().open("0" * 32)
    done = await transport.answer(request(), recording(reply, log, RunUntil()))
    return reply, log, [] if done.whole is None else list(reply.take(done.whole))


def test_deltas_that_came_together_are_one() -> None:
    reply = ticking_reply()
    reply.take([Delta("a")])
    assert reply.take([Delta("b"), Delta("c")]) == [Delta("bc")]
    assert reply.text == "abc"


def test_the_first_delta_stays_alone() -> None:
    assert ticking_reply().take([Delta("a"), Delta("b"), Delta("c")]) == [Delta("a"), Delta("bc")]


def test_progress_does_not_make_a_later_delta_the_second() -> None:
    heard = ticking_reply().take([Progress("prompt", processed=1, total=2), Delta("a"), Delta("b")])
    assert heard[1:] == [Delta("a"), Delta("b")]


def test_usage_is_kept_and_not_heard() -> None:
    reply = ticking_reply()
    assert reply.take([Delta("a"), Usage(1, 2, 3)]) == [Delta("a")]
    assert reply.usage == Usage(1, 2, 3)


def test_reasoning_and_tool_calls_are_kept_beside_the_text() -> None:
    reply = ticking_reply()
    call = ToolCall("1", "get_weather", "{}")
    reply.take([Reasoning("hm "), Reasoning("so"), call, Delta("x")])
    assert (reply.reasoning, reply.tool_calls, reply.text) == ("hm so", [call], "x")


def test_time_to_first_token_ends_with_the_first_thing_to_see() -> None:
    reply = ticking_reply()
    reply.take([Progress("queued", position=1)])
    assert reply.ttft_ms is None
    reply.take([Reasoning("hm")])
    assert reply.ttft_ms == 1000.0


def test_the_model_servers_own_rate_wins() -> None:
    reply = ticking_reply()
    reply.take([Delta("x"), Usage(1, 10, 11, tokens_per_s=123.44)])
    assert reply.tokens_per_s == 123.4


def test_nobody_counted_means_no_rate() -> None:
    reply = ticking_reply()
    reply.take([Delta("x")])
    assert reply.tokens_per_s is None


def test_merging_keeps_order_and_kinds() -> None:
    progress = Progress("queued", position=2)
    events: list[TransportEvent] = [
        Delta("a"),
        Delta("b"),
        Reasoning("c"),
        Reasoning("d"),
        progress,
        Delta("e"),
    ]
    assert merge_deltas(events) == [Delta("ab"), Reasoning("cd"), progress, Delta("e")]


def test_the_first_content_is_alone_also_behind_token_counts() -> None:
    reply = ticking_reply()
    told = reply.take([Usage(1, 2, 3), Delta("a"), Delta("b"), Delta("c")])
    assert told == [Delta("a"), Delta("bc")]
    assert reply.take([Delta("d"), Delta("e")]) == [Delta("de")]


async def test_a_token_reply_goes_into_the_journal_as_it_comes() -> None:
    reply, log, rest = await generated(*tokens("a", "b"))
    assert (log.events, reply.text, rest) == ([Delta("a"), Delta("b")], "ab", [])


async def test_a_whole_reply_is_handed_back_to_be_paced() -> None:
    reply, log, rest = await generated(*whole("all of it"))
    assert (log.events, reply.text, rest) == ([], "all of it", [Delta("all of it")])


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(Delta("x" * 1000), id="text"),
        pytest.param(Reasoning("x" * 1000), id="reasoning"),
        pytest.param(ToolCall("1", "f", "x" * 1000), id="tool calls"),
        pytest.param(ToolCall("", "", ""), id="empty tool calls"),
    ],
)
def test_a_reply_without_an_end_is_stopped(endless: Delta | Reasoning | ToolCall) -> None:
    reply = ticking_reply()

    def go_on() -> None:
        for _ in range(MAX_REPLY_CHARS // 100 + 2):
            heard.extend(reply.take([endless]))

    heard: list[ReaderEvent] = []
    with pytest.raises(UpstreamFailed, match=f"{MAX_REPLY_CHARS} characters"):
        go_on()
    assert len(reply.text) <= MAX_REPLY_CHARS + 1000
    assert reply.text == "".join(event.text for event in heard if isinstance(event, Delta))


async def test_what_is_pushed_after_the_run_was_settled_is_dropped() -> None:
    transport = ScriptedTransport(lambda _: tokens("a", "b"))
    reply, log = ticking_reply(), MemoryJournal().open("0" * 32)
    await transport.answer(request(), recording(reply, log, RunUntil(lambda: bool(log.events))))
    assert (log.events, reply.text) == ([Delta("a")], "a")
