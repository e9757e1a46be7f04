"""Guarantee of mode auto: whichever transports fail, a reply has one transport's text and one end."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, cast

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.contract.errors import (
    GatewayError,
    ModelRefused,
    Overloaded,
    Unavailable,
    Unreachable,
    WorkerLost,
)
from gateway.contract.events import (
    Delta,
    Done,
    Progress,
    ReaderEvent,
    Reasoning,
    Started,
    Terminal,
    ToolCall,
    TransportEvent,
    Usage,
)
from gateway.contract.requests import ChatRequest
from gateway.contract.store import StoredMessage
from gateway.contract.transport import Transport
from gateway.core.breaker import Breaker
from gateway.core.failover import Route
from gateway.core.mode_selector import AUTO, ModeSelector
from gateway.core.run import USER_STOP
from tests.core.house import USER, House, house
from transports.scripted import ScriptedTransport, Step

NAMES = ("sse", "mqtt", "third")
Kind = Literal["progress", "usage", "text", "thought", "call"]
End = Literal["done", "whole", "stop"] | GatewayError
Part = tuple[Sequence[Kind], End]
"""One transport's part in a play: the events that it sends, one batch each, and its end."""

AWAY, GONE, FULL, REFUSED = Unreachable("away"), WorkerLost("gone"), Overloaded("full"), ModelRefused("no")
KINDS: list[Kind] = ["progress", "usage", "text", "thought", "call"]
ENDS: list[End] = ["done", "whole", "stop", REFUSED, AWAY, AWAY, GONE, GONE, FULL]
PARTS: st.SearchStrategy[Part] = st.tuples(
    st.one_of(st.lists(st.sampled_from(KINDS[:2]), max_size=2), st.lists(st.sampled_from(KINDS), max_size=3)),
    st.sampled_from(ENDS),
)
PLAYS = st.lists(st.tuples(PARTS, PARTS, PARTS), min_size=1, max_size=8)


class Stage:
    """Transports that play their parts, behind breakers that open early. One stage serves many plays."""

    home: House

    def __init__(self) -> None:
        self.set()

    def set(self) -> None:
        """Close all breakers before a play."""
        self.now = 0.0
        breakers = {name: Breaker(name, failures=2, open_s=3, clock=lambda: self.now) for name in NAMES}
        self.modes = ModeSelector({name: self._transport(name) for name in NAMES}, AUTO, breakers=breakers)

    def route(self, model: str | None) -> Route:
        return self.modes.route(model)

    def transport_named(self, mode: str) -> Transport | None:
        return self.modes.transport_named(mode)

    async def play(self, parts: tuple[Part, ...]) -> None:
        """Make one reply and check the guarantee."""
        self.now += 1
        self.parts = dict(zip(NAMES, parts, strict=True))
        self.asked: list[str] = []
        closed_before = [name for name, state in self.modes.breakers().items() if state != "open"]
        try:
            run = await self.home.ask("Hi")
        except Unavailable:
            assert closed_before == []
            return
        told: list[ReaderEvent] = []
        with self.home.runs.following(run) as reader:
            while (new := await reader.read()) is not None:
                told += new
        await run.ended.wait()
        self.check(told, await self.home.store.reply(USER, run.stream_id), closed_before)

    def check(self, told: list[ReaderEvent], kept: StoredMessage, could_be_asked: list[str]) -> None:
        assert self.asked == [name for name in could_be_asked if name in self.asked]  # no repeats
        *earlier, server = self.asked
        assert all(not _seen(self.parts[name]) for name in earlier)
        assert all(self.parts[name][1] in (AWAY, GONE, FULL) for name in earlier)
        started, *said, end = told
        assert isinstance(started, Started)
        assert isinstance(end, Terminal)
        assert not any(isinstance(event, Terminal) for event in said)
        assert {_sayer(event) for event in said} <= {server, None}
        text = "".join(event.text for event in said if isinstance(event, Delta))
        thoughts = "".join(event.text for event in said if isinstance(event, Reasoning))
        calls = [event for event in said if isinstance(event, ToolCall)]
        assert (kept.content, kept.reasoning or "", list(kept.tool_calls)) == (text, thoughts, calls)
        assert (end.ending.full_content, end.ending.mode, kept.mode) == (text, server, server)
        assert kept.usage in (None, _usage(server))
        assert kept.reason == end.reason

    def _transport(self, name: str) -> ScriptedTransport:
        return ScriptedTransport(lambda request: self._steps(name, request), name=name)

    def _steps(self, name: str, request: ChatRequest) -> Iterator[Step]:
        self.asked.append(name)
        kinds, end = self.parts[name]
        events = [_event(kind, name) for kind in kinds]
        if end == "whole":
            yield [Done("stop", whole=events)]
        yield from ([event] for event in events)
        if end == "done":
            yield [Done("stop")]
        elif isinstance(end, GatewayError):
            yield end
        run = self.home.runs.find(request.id, USER)
        asyncio.get_running_loop().call_soon(run.settle, USER_STOP)


def _event(kind: Kind, name: str) -> TransportEvent:
    """Return an event that only this transport sends."""
    match kind:
        case "progress":
            return Progress("queued", position=1)
        case "usage":
            return _usage(name)
        case "text":
            return Delta(f"{name} ")
        case "thought":
            return Reasoning(f"{name} ")
        case "call":
            return ToolCall(name, "f", "{}")


def _usage(name: str) -> Usage:
    return Usage(NAMES.index(name), 1, NAMES.index(name) + 1)


def _seen(part: Part) -> bool:
    return not {"text", "thought", "call"}.isdisjoint(part[0])


def _sayer(event: ReaderEvent) -> str | None:
    match event:
        case Delta(text) | Reasoning(text):
            (name,) = set(text.split())  # the text of two transports would have two names
            return name
        case ToolCall(name):
            return name
        case _:
            return None


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="module")
def stage(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage()
    folder: Path = tmp_path_factory.mktemp("guarantee")
    playing = house(folder, lambda _: [], modes=cast(ModeSelector, stage), within_s=60)
    with portal.wrap_async_context_manager(playing) as home:
        stage.home = home
        yield stage


async def perform(stage: Stage, plays: list[tuple[Part, ...]]) -> None:
    stage.set()
    for parts in plays:
        async with asyncio.timeout(30):
            await stage.play(parts)


@settings(max_examples=100, deadline=None)
@given(plays=PLAYS)
@example([((["usage"], AWAY), (["progress"], GONE), (["text", "thought"], GONE))])
@example([(([], AWAY), (["progress"], "stop"), ([], "done"))] * 5)
@example([(([], AWAY), ([], AWAY), ([], AWAY))] * 5)
def test_a_reader_hears_one_transport_and_one_end_and_it_is_what_is_kept(
    portal: BlockingPortal, stage: Stage, plays: list[tuple[Part, ...]]
) -> None:
    portal.call(perform, stage, plays)
