"""The order of every dialect's frames: of random replies, to readers that drop, return and read it again."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.contract.events import Delta, Progress, Reasoning, ToolCall, TransportEvent, Usage
from gateway.contract.record import replace
from gateway.contract.store import StoredMessage
from gateway.core.access import OwnerAccess
from gateway.store.sql_store import SqlStore
from gateway.web.door.callers import LOCAL
from tests.contract.rig_dialects import DIALECT_RIGS, DialectRig
from tests.dialects.order.frames import Heard
from tests.web.chat.dialect_readers import DialectReader, EventIdReader, ResponsesReader, UiChatReader
from tests.web.scene import Move, Plan, Scene

TEXTS = st.text(
    st.sampled_from('ab \u00e9\U0001f642\u0301\u2028\u2029\u0085\r\n"\\{}[]:\ufeff')
    | st.characters(codec="utf-8"),
    min_size=1,
    max_size=12,
).map(lambda text: text.replace("\0", "\ufffd"))  # databases do not store NUL
ARGUMENTS = st.sampled_from(
    ['{"at": "\U0001f642"}', "{}", "", '{"at', "[1]", '"\u2028"', "null", '{"a":1e999}']
)
CALLS = st.builds(ToolCall, st.just(""), st.sampled_from(["look", "l\u00f6\u2028k"]), ARGUMENTS)
EVENTS: st.SearchStrategy[TransportEvent] = st.one_of(
    TEXTS.map(Delta),
    TEXTS.map(Delta),
    TEXTS.map(Reasoning),
    CALLS,
    st.just(Usage(11, 7, 18, 40.0)),
    st.just(Progress("queued", position=2)),
    st.just(Progress("prompt", processed=5, total=12)),
)
MOVES: st.SearchStrategy[Move] = st.one_of(
    st.sampled_from(["say", "say", "keep", "beat", "come back", "block", "unblock"]), st.integers(0, 400)
)


def with_own_call_ids(batches: list[list[TransportEvent]]) -> list[list[TransportEvent]]:
    return [
        [
            replace(event, id=f"call_{at}_{number}") if isinstance(event, ToolCall) else event
            for number, event in enumerate(batch)
        ]
        for at, batch in enumerate(batches)
    ]


PLANS = st.builds(
    Plan,
    batches=st.lists(st.lists(EVENTS, min_size=1, max_size=4), max_size=8).map(with_own_call_ids),
    in_one_piece=st.booleans(),
    moves=st.lists(MOVES, max_size=24),
    ending=st.sampled_from(["end", "end", "fail", "stop", "shutdown"]),
    journal_bytes=st.sampled_from([0, 200, 1000, 1_000_000]),
    cuts=st.lists(st.integers(0, 900), max_size=4),
    forgotten_after=st.integers(0, 5),
)


BETWEEN_TWO_CALLS = Plan(
    batches=[[Delta("one")], [ToolCall("c1", "look", "{}")], [ToolCall("c2", "look", "{}")]],
    in_one_piece=False,
    moves=["say", "say", 0],
    ending="end",
    journal_bytes=0,
    cuts=[],
    forgotten_after=0,
)
"""The reader drops between two tool calls, and gets the second one from the database."""

STOPPED_BEFORE_REASONING = Plan(
    batches=[[Usage(11, 7, 18, 40.0)], [Delta("0000")], [Reasoning("0")]],
    in_one_piece=True,
    moves=["say"],
    ending="stop",
    journal_bytes=1000,
    cuts=[],
    forgotten_after=0,
)
"""The user stops a paced reply after three of its characters, before its reasoning."""


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="module")
def store(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    """One database for all examples, each of which adds a reply."""
    folder: Path = tmp_path_factory.mktemp("order")
    store = SqlStore(f"sqlite+aiosqlite:///{folder / 'sluice.db'}", access=OwnerAccess())
    with portal.wrap_async_context_manager(store.running()):
        yield store


def _reader_of(rig: DialectRig) -> Callable[[DialectRig], DialectReader]:
    if rig.dialect.bears_ids:
        return EventIdReader
    return {"responses": ResponsesReader, "ai-sdk": UiChatReader}.get(rig.name, DialectReader)


async def _act(store: SqlStore, rig: DialectRig, plan: Plan) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        scene = Scene(plan, store, tasks, _reader_of(rig)(rig))
        async with scene.runs.running():
            run = await scene.ask()
            await scene.play(run)
            await scene.read_to_the_end()
    heard = scene.reader.heard(scene.pipe.received)
    _check(rig, heard, await store.reply(LOCAL.user_id, scene.stream_id))


def _check(rig: DialectRig, heard: Heard, kept: StoredMessage) -> None:
    assert heard.text == kept.content
    if "tools" in rig.tells:
        assert [name for name, _ in heard.tools] == [call.name for call in kept.tool_calls]
    if "reasoning" in rig.tells and not rig.dialect.bears_ids:
        assert heard.reasoning == (kept.reasoning or "")
    end = {"complete": rig.complete, "cancelled": rig.cancelled}.get(kept.status, rig.error)
    assert heard.ends == (() if end is None else (end,))
    if kept.error is not None and rig.error is not None:
        assert heard.error == kept.error.message


@pytest.mark.parametrize("rig", DIALECT_RIGS, ids=lambda rig: rig.name)
@settings(max_examples=25, derandomize=True, deadline=None)
@given(plan=PLANS)
@example(plan=BETWEEN_TWO_CALLS)
@example(plan=STOPPED_BEFORE_REASONING)
def test_every_reader_gets_whole_streams_in_order(
    portal: BlockingPortal, store: SqlStore, rig: DialectRig, plan: Plan
) -> None:
    portal.call(_act, store, rig, plan)
