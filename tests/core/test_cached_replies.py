"""A cached reply's whole life in the core: it is a reply like others, told at once."""

import asyncio
import time
from pathlib import Path

from gateway.contract.authors import Author
from gateway.contract.errors import Unreachable
from gateway.contract.events import Delivery, Delta, Done, Failed, Finished, ReaderEvent, Started, Usage
from gateway.contract.requests import ChatRequest
from gateway.core.breaker import Breaker
from gateway.core.mode_selector import AUTO, ModeSelector
from gateway.core.pacing import Pace
from gateway.core.question import Question
from gateway.core.stages.response_cache import ResponseCache
from tests.core.house import USER, house
from transports.scripted import ScriptedTransport, Step, tokens, whole


def cache(max_bytes: int = 1_000_000) -> ResponseCache:
    return ResponseCache(ttl_s=60, max_bytes=max_bytes, clock=time.monotonic)


def ends(events: list[ReaderEvent]) -> tuple[Started, list[str], Finished]:
    started, *deltas, finished = events
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    return started, [event.text for event in deltas if isinstance(event, Delta)], finished


async def test_it_is_told_and_kept_as_cached(tmp_path: Path) -> None:
    steps: list[Step] = [[Delta("one ")], [Delta("two")], [Usage(3, 2, 5, 80.0), Done("stop", "tiny")]]
    async with house(tmp_path, lambda _: steps, stages=[cache()]) as home:
        first = ends(await home.answer("Hi"))
        started, texts, finished = ends(await home.answer("Hi"))
        row = await home.store.reply(USER, started.stream_id)
    assert (first[0].delivery, first[2].ending.delivery) == ("token", "token")
    assert (started.delivery, finished.ending.delivery, row.delivery) == ("cached", "cached", "cached")
    assert texts == ["one two"]
    assert (finished.ending.full_content, row.content) == ("one two", "one two")
    assert (finished.ending.model, finished.ending.mode) == ("tiny", "scripted")
    assert finished.ending.usage == Usage(3, 2, 5)
    assert finished.ending.tokens_per_s is None
    assert finished.ending.ttft_ms is not None
    assert (row.status, row.reason) == ("complete", "stop")


async def test_it_is_not_paced(tmp_path: Path) -> None:
    pauses: list[float] = []

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    pace = Pace(size=1, delay_s=1)
    async with house(tmp_path, lambda _: whole("all of it"), stages=[cache()], sleep=sleep) as home:
        await home.answer("Hi", pace=pace)
        paced = len(pauses)
        pauses.clear()
        _, texts, finished = ends(await home.answer("Hi", pace=pace))
    assert paced == 8
    assert (texts, pauses) == (["all of it"], [])
    assert finished.ending.delivery == "cached"


async def test_a_device_of_the_same_user_gets_it_too(tmp_path: Path) -> None:
    async with house(tmp_path, lambda _: tokens("x"), stages=[cache()]) as home:
        await home.answer("Hi")
        device = await home.answer("Hi", thread="device:lamp", author=Author("device", "lamp"))
        again = await home.answer("Hi", thread="device:lamp", author=Author("device", "lamp"))
    assert ends(device)[2].ending.delivery == "cached"
    assert ends(again)[2].ending.delivery == "token", "its history is another conversation"


async def test_a_reply_that_was_thrown_out_meanwhile_is_made_anew_and_told_as_such(tmp_path: Path) -> None:
    class Hopeful(ResponseCache):
        """Expects what is not there any more when it is asked for."""

        def expects(self, request: ChatRequest) -> Delivery | None:
            return "cached"

    hopeful = Hopeful(ttl_s=1, max_bytes=1, clock=time.monotonic)
    async with house(tmp_path, lambda _: tokens("x"), stages=[hopeful]) as home:
        started, _, finished = ends(await home.answer("Hi"))
        row = await home.store.reply(USER, started.stream_id)
    assert started.delivery == "cached"
    assert (finished.ending.delivery, row.delivery) == ("token", "token")


async def test_a_rehearsal_neither_reads_nor_fills_the_cache(tmp_path: Path) -> None:
    kept = cache()
    async with house(tmp_path, lambda _: tokens("x"), stages=[kept]) as home:

        async def rehearse() -> None:
            stream_id = await home.conversations.rehearse(Question(USER, "Hi"))
            run = home.runs.find(stream_id, USER)
            with home.runs.following(run) as reader:
                while await reader.read() is not None:
                    pass
            await run.ended.wait()

        await rehearse()
        assert kept.bytes == 0
        await home.answer("Hi")
        await rehearse()
        assert len(home.transport.seen_requests) == 3


async def test_a_cached_reply_says_nothing_of_the_transports_health(tmp_path: Path) -> None:
    """A breaker that lets one request try must not take a reply from memory for its success."""
    steps = [tokens("x")]
    transport = ScriptedTransport(lambda _: steps[0], name="sse")
    now = [0.0]
    breaker = Breaker("sse", failures=1, open_s=10, clock=lambda: now[0])
    modes = ModeSelector({"sse": transport}, AUTO, breakers={"sse": breaker})
    async with house(tmp_path, lambda _: [], modes=modes, stages=[cache()]) as home:
        await home.answer("Hi")
        steps[0] = [Unreachable("away")]
        assert isinstance((await home.answer("Ho"))[-1], Failed)
        now[0] = 10
        assert ends(await home.answer("Hi"))[2].ending.delivery == "cached"
        assert breaker.state == "half-open"


async def test_a_question_that_comes_twice_at_once_is_generated_twice(tmp_path: Path) -> None:
    going = asyncio.Event()
    async with house(
        tmp_path, lambda _: [[Delta("a")], going.wait, [Done("stop")]], stages=[cache()]
    ) as home:
        runs = [await home.ask("Hi"), await home.ask("Hi")]
        going.set()
        for run in runs:
            await run.ended.wait()
        assert len(home.transport.seen_requests) == 2
