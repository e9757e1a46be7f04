"""Replies of a gateway that others may find dead: what another one may have by now is left alone."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.errors import NotFound, StorageFailed
from gateway.contract.events import Delta, Done, ReaderEvent
from gateway.contract.exchanges import Exchange, FinalReply
from gateway.core.run import TAKEN_OVER
from tests.core.fickle import Fickle
from tests.core.house import USER, House, house
from tests.live.looking import look_again
from tests.store.memory_store import MemoryStore
from transports.scripted import Script, Step


class Reply:
    """A reply that pauses after its first word."""

    def __init__(self) -> None:
        self.paused, self.go = asyncio.Event(), asyncio.Event()

    def script(self) -> Script:
        async def pause() -> None:
            self.paused.set()
            await self.go.wait()

        steps: list[Step] = [[Delta("before ")], pause, [Delta("and after")], [Done("stop")]]
        return lambda _: steps


async def take_over(home: House) -> None:
    """Another gateway takes over what this one is making."""
    async with (another := MemoryStore(home.database)).running():
        await another.adopt(None)


async def test_a_reader_that_was_sent_away_abandons_nothing(tmp_path: Path) -> None:
    reply = Reply()
    async with house(tmp_path, reply.script(), grace_s=0) as home:
        run = await home.ask("Hi", resumable=True)
        with home.runs.following(run):
            await reply.paused.wait()
            home.runs.fence(True)
        while run.leave_timer is not None:
            await look_again()
        assert run.outcome is None, "its next owner may have it"
        home.runs.fence(False)
        await run.ended.wait()
        assert run.outcome is not None
        assert run.outcome.reason == "abandoned", "nobody came back afterwards"


async def test_its_generator_is_not_stopped(tmp_path: Path) -> None:
    reply = Reply()
    async with house(tmp_path, reply.script()) as home:
        run = await home.ask("Hi", resumable=True)
        with home.runs.following(run):
            await reply.paused.wait()
            (request,) = home.transport.seen_requests
            assert request.reattachable is not None
            said = [request.reattachable.is_left()]
            for fenced in (True, False):
                home.runs.fence(fenced)
                said.append(request.reattachable.is_left())
            reply.go.set()
            await run.ended.wait()
    assert said == [False, True, False]


@pytest.mark.parametrize("is_taken", [True, False])
async def test_the_fence_stays_until_all_owners_are_checked(tmp_path: Path, is_taken: bool) -> None:
    reply = Reply()
    async with house(tmp_path, reply.script()) as home:
        home.checkpoints._every_s = 0
        run = await home.ask("Hi", resumable=True)
        with home.runs.following(run):
            await reply.paused.wait()
            await home.checkpoints.keep_all()
            if is_taken:
                await take_over(home)
            outcome = asyncio.get_running_loop().create_future()
            home.checkpoints.check_owners(lambda: outcome.set_result(run.outcome))
            storing = asyncio.create_task(home.checkpoints.run())
            assert await outcome is (TAKEN_OVER if is_taken else None)
            if is_taken:
                with pytest.raises(NotFound):
                    home.runs.find(run.stream_id, USER)
            storing.cancel()
            reply.go.set()
            await run.ended.wait()


async def test_a_check_that_is_cancelled_lifts_no_fence(tmp_path: Path) -> None:
    async with house(tmp_path, Reply().script()) as home:
        lifted: list[bool] = []
        home.checkpoints.check_owners(lambda: lifted.append(True))
        home.checkpoints.check_owners(None)
        await home.checkpoints._keep_and_check()
    assert lifted == []


async def test_without_the_database_a_lost_reply_tells_no_end(tmp_path: Path) -> None:
    """Another gateway may have it: its reader hears the end from there."""

    class Away(Fickle):
        async def exchange(self, user_id: str, stream_id: str) -> Exchange:
            if self.refusing:
                raise StorageFailed("away")
            return await self._store.exchange(user_id, stream_id)

    reply = Reply()
    async with house(tmp_path, reply.script(), store=Away) as home:  # type: ignore[arg-type]
        run = await home.ask("Hi", resumable=True)
        with home.runs.following(run) as reader:
            await reply.paused.wait()
            await take_over(home)
            home.store.refusing = True  # type: ignore[attr-defined]
            await home.checkpoints.keep_all(unchanged=True)
            await run.ended.wait()
            told: list[ReaderEvent] = []
            while (new := await reader.read()) is not None:
                told += new
    assert run.outcome is TAKEN_OVER
    assert told[-1:] == [Delta("before ")]


async def test_an_end_that_a_fenced_gateway_cannot_store_is_told_when_it_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another gateway may have the reply, and end it otherwise."""
    monkeypatch.setattr("gateway.core.reply_row.STORAGE_RETRY_S", 0)
    later: list[FinalReply] = []

    class Refusing(Fickle):
        def finish_later(self, reply: FinalReply) -> None:
            later.append(reply)

    reply = Reply()
    async with house(tmp_path, reply.script(), store=Refusing) as home:  # type: ignore[arg-type]
        run = await home.ask("Hi", resumable=True)
        with home.runs.following(run) as reader:
            await reply.paused.wait()
            home.store.refusing = True  # type: ignore[attr-defined]
            home.runs.fenced = True
            reply.go.set()
            await run.ended.wait()
            told: list[ReaderEvent] = []
            while (new := await reader.read()) is not None:
                told += new
    assert run.outcome is TAKEN_OVER
    assert told[-1:] == [Delta("and after")]
    (final,) = later
    assert (final.status, final.content) == ("complete", "before and after")
