"""A question comes in, a run answers it, readers follow, and its end is saved before it is told."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.errors import Draining, NotFound, StorageFailed, UpstreamFailed
from gateway.contract.events import Cancelled, Delta, Done, Failed, Finished, Started, Usage
from gateway.contract.exchanges import FinalReply
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.store import MessageStore
from gateway.core.limits import Limits
from gateway.core.pacing import Pace
from gateway.core.run import Run
from gateway.core.titles import title_of
from tests.core.house import USER, House, house
from transports.scripted import Script, Step, tokens, whole


def says(*steps: Step) -> Script:
    return lambda _: steps


async def messages(home: House, session_id: int = 1) -> list[tuple[str, str, str, str | None]]:
    kept = await home.store.messages(USER, session_id)
    return [(message.role, message.content, message.status, message.reason) for message in kept]


async def test_a_reply_begins_with_its_metadata_and_ends_with_its_text(tmp_path: Path) -> None:
    async with house(tmp_path, says(*tokens("Hel", "lo"))) as home:
        started, *deltas, finished = await home.answer("Hi")
    assert isinstance(started, Started)
    assert deltas == [Delta("Hel"), Delta("lo")]
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.ending.full_content) == ("stop", "Hello")
    assert finished.ending.assistant_message_id == started.assistant_message_id


async def test_who_follows_a_new_reply_finds_its_metadata_there_at_once(tmp_path: Path) -> None:
    async with house(tmp_path, says(*tokens("Hi"))) as home:
        run = await home.ask("Hello")
        with home.runs.looking(run, 0) as look:
            (started,) = look.take()  # nothing was awaited since: it goes out with the answer's head
        await run.ended.wait()

    assert isinstance(started, Started)
    assert started.stream_id == run.stream_id


async def test_the_question_is_saved_before_the_model_is_asked(tmp_path: Path) -> None:
    seen: list[object] = []

    async def look() -> None:
        seen.extend(await messages(home))

    async with house(tmp_path, says(look, *tokens("x"))) as home:
        await home.answer("Hi")
    assert seen == [("user", "Hi", "complete", None), ("assistant", "", "streaming", None)]


async def test_whoever_sees_the_end_finds_the_message_saved(tmp_path: Path) -> None:
    async with house(tmp_path, says(*tokens("Hel", "lo"))) as home:
        run = await home.ask("Hi")
        with home.runs.following(run) as reader:
            while new := await reader.read():
                if isinstance(new[-1], Finished):
                    assert (await messages(home))[1] == ("assistant", "Hello", "complete", "stop")


async def test_usage_model_and_rate_are_told_and_kept(tmp_path: Path) -> None:
    steps: list[Step] = [[Delta("a")], [Usage(7, 1, 8, tokens_per_s=50.0), Done("length", model="tiny")]]
    async with house(tmp_path, says(*steps)) as home:
        finished = (await home.answer("Hi"))[-1]
        kept = (await home.store.messages(USER, 1))[1]
    assert isinstance(finished, Finished)
    assert finished.ending.usage == kept.usage == Usage(7, 1, 8, tokens_per_s=50.0)
    assert (finished.ending.model, finished.reason, finished.ending.tokens_per_s) == ("tiny", "length", 50.0)
    assert (kept.model, kept.reason) == ("tiny", "length")


async def test_the_sessions_history_goes_to_the_model(tmp_path: Path) -> None:
    async with house(tmp_path, lambda request: tokens(f"answer to {request.turns[-1].content}")) as home:
        await home.answer("one")
        await home.answer("two", 1, system_prompt="Be brief.")
        asked = home.transport.seen_requests[-1]
    assert list(asked.turns) == [
        Turn("system", "Be brief."),
        Turn("user", "one"),
        Turn("assistant", "answer to one"),
        Turn("user", "two"),
    ]


async def test_the_oldest_history_is_dropped_beyond_its_bound(tmp_path: Path) -> None:
    script = says(*tokens("y" * 50))
    async with house(tmp_path, script, limits=Limits(deadline_s=5, history_max_chars=60)) as home:
        await home.answer("x" * 20)
        await home.answer("x" * 5, 1)
        await home.answer("two", 1)
        asked = home.transport.seen_requests[-1]
    assert [turn.content for turn in asked.turns] == ["x" * 5, "y" * 50, "two"]


async def test_a_reply_that_still_streams_is_no_history(tmp_path: Path) -> None:
    hold = asyncio.Event()

    def script(request: ChatRequest) -> list[Step]:
        if request.turns[-1].content == "slow":
            return [[Delta("half a ")], hold.wait, [Done("stop")]]
        return tokens("quick")

    async with house(tmp_path, script) as home:
        run = await home.ask("slow")
        with home.runs.following(run) as reader:
            while not any(isinstance(event, Delta) for event in await reader.read() or ()):
                pass
            await home.answer("now", 1)
            hold.set()
            await run.ended.wait()
        asked = home.transport.seen_requests[-1]
    assert [turn.content for turn in asked.turns] == ["slow\nnow"]


async def test_an_unknown_session_is_not_found_and_keeps_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, says(*tokens("x"))) as home:
        with pytest.raises(NotFound):
            await home.ask("Hi", 99)
        assert await home.store.sessions(USER) == []
        assert home.transport.seen_requests == []


async def test_trouble_in_the_middle_keeps_what_was_said(tmp_path: Path) -> None:
    async with house(tmp_path, says([Delta("Hel")], UpstreamFailed("It broke."))) as home:
        failed = (await home.answer("Hi"))[-1]
        kept = (await home.store.messages(USER, 1))[1]
    assert isinstance(failed, Failed)
    assert (failed.code, failed.reason, failed.message) == ("upstream_error", "upstream_error", "It broke.")
    assert failed.ending.full_content == "Hel"
    assert (kept.content, kept.status, kept.reason) == ("Hel", "failed", "upstream_error")
    assert kept.error is not None
    assert kept.error.message == "It broke."


async def test_a_bug_in_one_reply_fails_that_reply_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def bug() -> None:
        raise ZeroDivisionError

    def script(request: ChatRequest) -> list[Step]:
        return [bug] if request.turns[-1].content == "bug" else tokens("fine")

    async with house(tmp_path, script) as home:
        failed = (await home.answer("bug"))[-1]
        assert isinstance((await home.answer("ok"))[-1], Finished)
    assert isinstance(failed, Failed)
    assert "ZeroDivisionError" in caplog.text


async def test_a_reply_past_its_deadline_fails_as_timeout(tmp_path: Path) -> None:
    async with house(tmp_path, says([Delta("on ")]), limits=Limits(deadline_s=1)) as home:
        failed = (await home.answer("Hi"))[-1]
        assert (await messages(home))[1] == ("assistant", "on ", "failed", "timeout")
    assert isinstance(failed, Failed)
    assert failed.reason == "timeout"


async def first_delta(home: House, run: Run) -> None:
    """Read until something of the reply was said, and leave."""
    with home.runs.following(run) as reader:
        while not any(isinstance(event, Delta) for event in await reader.read() or ()):
            pass


async def test_a_stop_keeps_the_partial_text_and_frees_the_transport(tmp_path: Path) -> None:
    async with house(tmp_path, says([Delta("on ")])) as home:
        run = await home.ask("Hi")
        with home.runs.following(run) as reader:
            while not any(isinstance(event, Delta) for event in await reader.read() or ()):
                pass
            outcome = await home.runs.stop(run.stream_id, USER)
            (end,) = await reader.read() or ()
        assert (await messages(home))[1] == ("assistant", "on ", "cancelled", "user_stop")
        assert home.transport.open_requests == []
    assert isinstance(end, Cancelled)
    assert (outcome.status, outcome.reason) == ("cancelled", "user_stop")


async def test_a_stop_before_the_first_token_works(tmp_path: Path) -> None:
    async with house(tmp_path, says()) as home:
        run = await home.ask("Hi")
        with home.runs.following(run):
            outcome = await home.runs.stop(run.stream_id, USER)
        assert (await messages(home))[1] == ("assistant", "", "cancelled", "user_stop")
    assert outcome.reason == "user_stop"


async def test_two_stops_at_once_hear_the_same(tmp_path: Path) -> None:
    async with house(tmp_path, says([Delta("on ")])) as home:
        run = await home.ask("Hi")
        with home.runs.following(run):
            stops = [home.runs.stop(run.stream_id, USER), home.runs.stop(run.stream_id, USER)]
            one, two = await asyncio.gather(*stops)
    assert one == two


async def test_somebody_else_cannot_stop_it(tmp_path: Path) -> None:
    async with house(tmp_path, says([Delta("on ")])) as home:
        run = await home.ask("Hi")
        with home.runs.following(run):
            with pytest.raises(NotFound):
                await home.runs.stop(run.stream_id, "somebody else")
            assert run.outcome is None


async def test_the_last_reader_to_leave_ends_a_reply_that_is_not_resumable(tmp_path: Path) -> None:
    async with house(tmp_path, says([Delta("on ")])) as home:
        run = await home.ask("Hi")
        with home.runs.following(run):
            with home.runs.following(run):
                pass
            assert run.outcome is None
        await run.ended.wait()
        assert (await messages(home))[1][2:] == ("cancelled", "abandoned")


async def test_a_resumable_reply_goes_on_without_a_reader(tmp_path: Path) -> None:
    hold = asyncio.Event()
    async with house(tmp_path, says([Delta("Hel")], hold.wait, [Delta("lo")], [Done("stop")])) as home:
        run = await home.ask("Hi", resumable=True)
        with home.runs.following(run):
            pass
        hold.set()
        await run.ended.wait()
        assert (await messages(home))[1] == ("assistant", "Hello", "complete", "stop")


async def test_a_resumable_reply_nobody_comes_back_to_is_abandoned(tmp_path: Path) -> None:
    async with house(tmp_path, says([Delta("on ")]), grace_s=0.01) as home:
        run = await home.ask("Hi", resumable=True)
        with home.runs.following(run):
            pass
        await run.ended.wait()
        assert (await messages(home))[1][2:] == ("cancelled", "abandoned")


async def test_a_whole_reply_is_saved_before_it_is_paced(tmp_path: Path) -> None:
    kept: list[object] = []

    async def look(_: float) -> None:
        kept.append((await messages(home))[1])

    async with house(tmp_path, says(*whole("all of it")), sleep=look) as home:
        events = await home.answer("Hi", pace=Pace(size=5))
    assert kept == [("assistant", "all of it", "complete", "stop")]
    assert [event for event in events if isinstance(event, Delta)] == [Delta("all o"), Delta("f it")]
    assert isinstance(events[-1], Finished)
    assert events[-1].ending.delivery == "chunked"


async def test_without_a_pace_a_whole_reply_is_told_whole(tmp_path: Path) -> None:
    async with house(tmp_path, says(*whole("all of it"))) as home:
        events = await home.answer("Hi")
    assert [event for event in events if isinstance(event, Delta)] == [Delta("all of it")]


async def test_a_stop_while_it_is_paced_keeps_what_was_shown(tmp_path: Path) -> None:
    async def stop(_: float) -> None:
        home.runs.find("1".rjust(32, "0"), USER)
        await stopping.wait()

    stopping = asyncio.Event()
    async with house(tmp_path, says(*whole("all of it")), sleep=stop) as home:
        run = await home.ask("Hi", pace=Pace(size=5))
        with home.runs.following(run) as reader:
            while not any(isinstance(event, Delta) for event in await reader.read() or ()):
                pass
            await home.runs.stop(run.stream_id, USER)
        assert (await messages(home))[1] == ("assistant", "all o", "cancelled", "user_stop")


async def test_leaving_while_it_is_paced_leaves_it_complete(tmp_path: Path) -> None:
    async def never(_: float) -> None:
        await asyncio.Event().wait()

    async with house(tmp_path, says(*whole("all of it")), sleep=never) as home:
        run = await home.ask("Hi", pace=Pace(size=5))
        await first_delta(home, run)
        await run.ended.wait()
        assert (await messages(home))[1] == ("assistant", "all of it", "complete", "stop")


class Refusing:
    """A store whose `finish` fails as long as it is told to."""

    def __init__(self, store: MessageStore, failures: int) -> None:
        self._store = store
        self.failures = failures

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def finish(self, reply: FinalReply) -> bool:
        if self.failures:
            self.failures -= 1
            raise StorageFailed("The disk is full.")
        return await self._store.finish(reply)


async def test_a_database_that_comes_back_in_time_delays_the_end_only(tmp_path: Path) -> None:
    async with house(tmp_path, says(*tokens("x")), store=lambda sql: Refusing(sql, 2)) as home:  # type: ignore[arg-type,return-value]
        events = await home.answer("Hi")
        assert (await messages(home))[1][2] == "complete"
    assert isinstance(events[-1], Finished)


async def test_a_database_that_stays_away_is_told_instead_of_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.core.reply_row.STORAGE_RETRY_S", 0.0)
    async with house(tmp_path, says(*tokens("x")), store=lambda sql: Refusing(sql, 10**9)) as home:  # type: ignore[arg-type,return-value]
        failed = (await home.answer("Hi"))[-1]
    assert isinstance(failed, Failed)
    assert failed.reason == "storage_failed"


async def test_a_draining_house_takes_nothing_new(tmp_path: Path) -> None:
    async with house(tmp_path, says(*tokens("x"))) as home:
        await home.runs.drain(0, asyncio.Event())
        with pytest.raises(Draining):
            await home.ask("Hi")
        assert await home.store.sessions(USER) == []


async def test_draining_ends_what_does_not_end_by_itself(tmp_path: Path) -> None:
    async with house(tmp_path, says([Delta("on ")])) as home:
        run = await home.ask("Hi")
        with home.runs.following(run) as reader:
            while not any(isinstance(event, Delta) for event in await reader.read() or ()):
                pass
            await home.runs.drain(0, asyncio.Event())
            (end,) = await reader.read() or ()
        assert (await messages(home))[1] == ("assistant", "on ", "interrupted", "shutdown")
    assert isinstance(end, Failed)
    assert (end.code, end.reason) == ("draining", "shutdown")


@pytest.mark.parametrize(
    ("content", "title"),
    [("Hello\n there", "Hello there"), ("word " * 30, "word " * 11 + "word…"), ("x" * 99, "x" * 60 + "…")],
)
def test_a_title_is_the_first_words_on_one_line(content: str, title: str) -> None:
    assert title_of(content) == title


async def test_a_models_name_is_kept_up_to_256_characters(tmp_path: Path) -> None:
    async with house(tmp_path, says([Delta("a")], [Done("stop", model="m" * 1000)])) as home:
        told = await home.answer("hi")
    assert isinstance(told[-1], Finished)
    assert told[-1].ending.model == "m" * 256
