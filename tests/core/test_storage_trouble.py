"""A database that refuses at the end of a reply: what readers hear is what is kept, now or later."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.contract.errors import Draining, NotFound
from gateway.contract.events import Cancelled, Delta, Done, Failed, Finished, ReaderEvent
from gateway.contract.exchanges import Exchange, NewExchange
from gateway.contract.store import StoredMessage
from gateway.core.pacing import Pace
from gateway.core.run import Run
from tests.core.fickle import Fickle
from tests.core.house import USER, House, house
from tests.store.memory_store import MemoryStore
from transports.scripted import Script, Step, tokens, whole

PACE = Pace(size=5)

Act = Callable[[House, Run], Awaitable[object]]


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.core.reply_row.STORAGE_RETRY_S", 0.0)


def says(*steps: Step) -> Script:
    return lambda _: steps


def fickle(home: House) -> Fickle:
    assert isinstance(home.store, Fickle)
    return home.store


def text_of(events: list[ReaderEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


async def kept(home: House) -> StoredMessage:
    """The reply as it is kept."""
    return (await home.store.messages(USER, 1))[1]


@pytest.mark.parametrize("script", [tokens("Hel", "lo"), whole("Hello")], ids=["tokens", "whole"])
@pytest.mark.parametrize("pace", [None, PACE], ids=["at once", "paced"])
async def test_an_end_that_was_not_kept_is_no_done_and_reaches_the_database_later(
    tmp_path: Path, script: list[Step], pace: Pace | None
) -> None:
    async with house(tmp_path, says(*script), store=Fickle) as home:  # type: ignore[arg-type]
        fickle(home).refusing = True
        *events, end = await home.answer("Hi", pace=pace)
        reply = await kept(home)
    assert isinstance(end, Failed)
    assert (end.reason, end.code, end.ending.full_content) == ("storage_failed", "storage_failed", "Hello")
    assert text_of(events) == "Hello"
    assert (reply.status, reply.reason, reply.content) == ("failed", "storage_failed", "Hello")
    assert reply.last_seq == len(events) + 1


async def stop(home: House, run: Run) -> None:
    await home.runs.stop(run.stream_id, USER)


async def drain(home: House, run: Run) -> None:
    await home.runs.drain(0, asyncio.Event())


async def leave(home: House, run: Run) -> None:
    """Its only reader goes away, with nothing else."""


@pytest.mark.parametrize("refusing", [True, False])
@pytest.mark.parametrize(
    ("act", "status", "reason", "text"),
    [
        (stop, "cancelled", "user_stop", ""),
        (drain, "complete", "stop", "Hello"),
        (leave, "complete", "stop", "Hello"),
    ],
)
async def test_a_whole_reply_that_is_ended_while_it_is_first_written(
    tmp_path: Path, act: Act, status: str, reason: str, text: str, refusing: bool
) -> None:
    async with house(tmp_path, says(*whole("Hello")), store=Fickle) as home:  # type: ignore[arg-type]
        fickle(home).refusing = refusing
        fickle(home).first_try = asyncio.Event().wait
        run = await home.ask("Hi", pace=PACE)
        with home.runs.overhearing(run) as overhearing:
            with home.runs.following(run):
                await fickle(home).tried.wait()
                await act(home, run)
            await run.ended.wait()
            events: list[ReaderEvent] = []
            while (new := await overhearing.read()) is not None:
                events += new
        reply = await kept(home)
    end = events[-1]
    assert isinstance(end, Failed | Cancelled | Finished)
    if refusing:
        status, reason = "failed", "storage_failed"
    assert (reply.status, reply.reason, reply.content) == (status, reason, text)
    assert (end.reason, end.ending.full_content, text_of(events)) == (reason, text, text)


async def test_a_stop_while_pacing_that_cannot_be_kept_is_no_stop(tmp_path: Path) -> None:
    pacing = asyncio.Event()

    async def hold(_: float) -> None:
        pacing.set()
        await asyncio.Event().wait()

    async with house(tmp_path, says(*whole("all of it")), sleep=hold, store=Fickle) as home:  # type: ignore[arg-type]
        run = await home.ask("Hi", pace=PACE)
        with home.runs.following(run):
            await pacing.wait()
            assert (await home.store.messages(USER, 1))[1].status == "complete"
            fickle(home).refusing = True
            outcome = await home.runs.stop(run.stream_id, USER)
        reply = await kept(home)
    assert (outcome.status, outcome.reason) == ("failed", "storage_failed")
    assert (reply.status, reply.reason, reply.content) == ("failed", "storage_failed", "all o")


async def test_a_whole_reply_that_was_kept_is_done_whatever_the_database_does_while_it_is_paced(
    tmp_path: Path,
) -> None:
    pacing, refusing = asyncio.Event(), asyncio.Event()

    async def hold(_: float) -> None:
        pacing.set()
        await refusing.wait()

    async with house(tmp_path, says(*whole("all of it")), sleep=hold, store=Fickle) as home:  # type: ignore[arg-type]
        answer = asyncio.create_task(home.answer("Hi", pace=PACE))
        async with asyncio.timeout(30):
            await pacing.wait()
            fickle(home).refusing = True
            refusing.set()
            *events, end = await answer
        reply = await kept(home)
    assert isinstance(end, Finished)
    assert text_of(events) == end.ending.full_content == reply.content == "all of it"
    assert (reply.status, reply.reason) == ("complete", "stop")


@pytest.mark.parametrize("pace", [None, PACE], ids=["at once", "paced"])
@pytest.mark.parametrize("script", [tokens("Hello"), whole("Hello")], ids=["tokens", "whole"])
async def test_a_reply_whose_session_was_deleted_meanwhile_has_failed(
    tmp_path: Path, script: list[Step], pace: Pace | None
) -> None:
    async def delete() -> None:
        await home.store.delete_session(USER, 1)

    async with house(tmp_path, says(delete, *script), store=Fickle) as home:  # type: ignore[arg-type]
        end = (await home.answer("Hi", pace=pace))[-1]
    assert isinstance(end, Failed)
    assert end.reason == "storage_failed"


async def sweep_elsewhere(home: House) -> None:
    """Another process takes over what this one is making, and ends it."""
    async with (another := MemoryStore(home.database)).running():
        assert await another.sweep() == 1


@pytest.mark.parametrize("resumable", [False, True], ids=["classic", "resumable"])
@pytest.mark.parametrize("by", ["its end", "a checkpoint"])
async def test_a_reply_that_was_taken_over_has_failed_and_its_row_keeps_the_text_of_the_other(
    tmp_path: Path, by: str, resumable: bool
) -> None:
    async def sweep() -> None:
        await home.checkpoints.keep_all()
        await sweep_elsewhere(home)

    async def checkpoint() -> None:
        if by == "a checkpoint":
            await asyncio.wait({asyncio.create_task(home.checkpoints.keep_all())})
            await asyncio.Event().wait()  # the generation was cut off before

    script = says([Delta("Hel")], sweep, [Delta("lo")], checkpoint, [Done("stop")])
    async with house(tmp_path, script, store=Fickle, ttl_s=600) as home:  # type: ignore[arg-type]
        *events, end = await home.answer("Hi", resumable=resumable)
        reply = await kept(home)
    if resumable:  # it goes on elsewhere: its reader gets no end, and resumes
        assert not isinstance(end, Failed | Finished)
        assert text_of([*events, end]) == "Hello"
    else:
        assert isinstance(end, Failed)
        assert (end.reason, end.code) == ("storage_failed", "storage_failed")
        assert "took it over" in end.message
        assert text_of(events) == end.ending.full_content == "Hello"
    assert (reply.status, reply.reason, reply.content) == ("interrupted", "interrupted", "Hel")
    with pytest.raises(NotFound):
        home.runs.find(reply.stream_id or "", USER)


async def test_a_drain_between_saving_and_starting_is_told_as_such_though_the_database_refuses(
    tmp_path: Path,
) -> None:
    class LastMoment(Fickle):
        async def begin(self, exchange: NewExchange) -> Exchange:
            saved = await self._store.begin(exchange)
            home.runs.draining = self.refusing = True
            return saved

    async with house(tmp_path, says(*tokens("x")), store=LastMoment) as home:  # type: ignore[arg-type]
        with pytest.raises(Draining):
            await home.ask("Hi")
        reply = await kept(home)
    assert (reply.status, reply.reason) == ("failed", "storage_failed")
