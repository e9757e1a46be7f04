"""Rehearsals: replies that are not stored."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.events import Delta, Done, Finished, ReaderEvent
from gateway.core.question import Question
from tests.core.house import USER, house
from transports.scripted import Step


@pytest.mark.parametrize("in_sql", [False, True])
async def test_a_rehearsal_outlives_the_checkpoints_of_stored_replies(tmp_path: Path, in_sql: bool) -> None:
    reached, goes_on = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        reached.set()
        await goes_on.wait()

    script: list[Step] = [[Delta("Hel")], pause, [Delta("lo")], [Done("stop")]]
    async with house(tmp_path, lambda _: script, in_sql=in_sql) as home:
        stream_id = await home.conversations.rehearse(Question(USER, "Hi"))
        with home.runs.following(home.runs.find(stream_id, USER)) as reader:
            await reached.wait()
            await home.checkpoints.keep_all()
            goes_on.set()
            events: list[ReaderEvent] = []
            while (new := await reader.read()) is not None:
                events += new
    assert "".join(event.text for event in events if isinstance(event, Delta)) == "Hello"
    assert isinstance(events[-1], Finished)
