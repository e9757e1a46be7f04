"""Responses that a crash of the gateway interrupted: their stored events keep their numbers."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.events import Delta, Ending, Failed, ReaderEvent, Reasoning, ToolCall
from gateway.core.event_lengths import events_again, lengths_of, packed, packed_so_far, unpacked
from gateway.dialects.responses import Responses
from tests.web.chat.test_responses import PATH, Pause, data_in, events_in, made
from tests.web.gateway_server import Served, served
from transports.scripted import Step

DELTA = "response.output_text.delta"


async def store_and_copy(gateway: Served, source: Path, copy: Path) -> None:
    """Store the running reply, and copy the database as a crash at this moment would leave it."""
    await gateway.assembled.gateway.conversations._launch._checkpoints.keep_all()
    with closing(sqlite3.connect(source)) as database:
        database.execute("VACUUM INTO ?", [str(copy)])


async def received(gateway: Served, path: str, deltas: int) -> list[dict[str, Any]]:
    """Return the events of a running response up to so many pieces of text."""
    read = ""
    async with gateway.http.stream("GET", path) as reader:
        async for text in reader.aiter_text():
            read += text
            whole = read[: read.rfind("\n\n") + 2]
            events = data_in(whole)
            if sum(event["type"] == DELTA for event in events) == deltas:
                return events
    raise AssertionError("the stream has ended")


@pytest.mark.parametrize("stored", [2, 3])
async def test_the_stored_events_have_the_numbers_that_the_reader_knows(tmp_path: Path, stored: int) -> None:
    """stored: pieces of text that were stored when the gateway crashed; its reader had received three."""
    first, second = Pause(), Pause()
    script: list[Step] = [[Reasoning("hm")], [Delta("Hel")], [Delta("lo ")], first, [Delta("you")], second]
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    async with served(tmp_path, lambda _: script) as gateway:
        told = await made(gateway, background=True)
        path = f"{PATH}/{told['id']}?stream=true"
        await first.reached.wait()
        if stored == 2:
            await store_and_copy(gateway, tmp_path / "gateway.db", crashed / "gateway.db")
        first.goes_on.set()
        await second.reached.wait()
        if stored == 3:
            await store_and_copy(gateway, tmp_path / "gateway.db", crashed / "gateway.db")
        before = await received(gateway, path, 3)
    async with served(crashed, lambda _: script) as gateway:
        whole = events_in(await gateway.http.get(path))
        behind = {
            at: events_in(await gateway.http.get(f"{path}&starting_after={at}"))
            for at in range(before[-1]["sequence_number"] + 1)
        }
    assert [event["delta"] for event in whole if event["type"] == DELTA] == ["Hel", "lo ", "you"][:stored]
    assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
    known = before if stored == 3 else before[:-1]
    assert [(event["type"], event.get("delta")) for event in whole[: len(known)]] == [
        (event["type"], event.get("delta")) for event in known
    ]
    assert whole[-1]["type"] == "response.failed"
    assert whole[-1]["response"]["output"][1]["content"][0]["text"] == "Hello you"[: 9 if stored == 3 else 6]
    for at, events in behind.items():
        assert events == whole[at + 1 :], at


def test_a_reader_of_more_than_was_stored_gets_an_end_behind_it() -> None:
    lost = Responses(after=40, end_lost=True).encoder("0" * 32)
    ending = Ending(2, "", "sse", "token", None, None, None, None)
    error, failed = lost.frames(Failed("interrupted", "interrupted", "It ended.", True, ending))
    assert (b'"sequence_number":41' in error, b'"sequence_number":42' in failed) == (True, True)


def test_both_forms_hold_the_same_lengths() -> None:
    events: list[ReaderEvent] = [Reasoning("hm"), Delta("Hel"), Delta("lo"), Delta("x" * 70_000)]
    lengths = list(lengths_of(events))
    quick = packed_so_far(lengths)
    assert quick is not None
    assert list(unpacked(quick)) == list(unpacked(packed(lengths))) == lengths
    assert list(events_again(unpacked(quick), "Hello" + "x" * 70_000, "hm", ())) == events


def test_a_running_reply_with_tool_calls_has_none() -> None:
    assert packed_so_far(list(lengths_of([Delta("a"), ToolCall("c", "f", "{}"), Delta("b")]))) is None
