"""The guarantee: however often and wherever a reader drops, what it pieces together is what was kept."""

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.contract.events import Delta, Reasoning, ToolCall, TransportEvent
from gateway.contract.store import StoredMessage
from gateway.core.access import OwnerAccess
from gateway.store.sql_store import SqlStore
from gateway.web.door.callers import LOCAL
from tests.web.gateway_server import served
from tests.web.raw_reader import RawClient
from tests.web.scene import Move, Plan, Scene, UnifiedReader
from transports.scripted import Step, tokens

# No NUL: PostgreSQL cannot keep it, so the store keeps U+FFFD.
CHARACTERS = st.one_of(
    st.sampled_from(
        [
            "a",
            "é",
            "e\u0301",
            "👩‍👩‍👧",
            "🇩🇪",
            "\U0001d4b3",
            "\r\n",
            "\r",
            "\n\n",
            "\u2028",
            "\u0085",
            "\\",
            '"',
            "\ufeff",
        ]
    ),
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"),
)
TEXTS = st.lists(CHARACTERS, min_size=1, max_size=12).map("".join)
EVENTS: st.SearchStrategy[TransportEvent] = st.one_of(
    TEXTS.map(Delta),
    TEXTS.map(Delta),
    TEXTS.map(Reasoning),
    st.just(ToolCall("call", "look", '{"at":"🙂"}')),
)
MOVES: st.SearchStrategy[Move] = st.one_of(
    st.sampled_from(["say", "say", "keep", "come back", "block", "unblock"]), st.integers(0, 200)
)
PLANS = st.builds(
    Plan,
    batches=st.lists(st.lists(EVENTS, min_size=1, max_size=4), max_size=10),
    in_one_piece=st.booleans(),
    moves=st.lists(MOVES, max_size=30),
    ending=st.sampled_from(["end", "end", "stop", "shutdown"]),
    journal_bytes=st.sampled_from([0, 200, 1000, 1_000_000]),
    cuts=st.lists(st.integers(0, 600), max_size=4),
    forgotten_after=st.integers(0, 5),
)


async def _act(store: SqlStore, plan: Plan) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        scene = Scene(plan, store, tasks, UnifiedReader())
        async with scene.runs.running():
            run = await scene.ask()
            await scene.play(run)
            await scene.read_to_the_end()
    _check(scene, await store.reply(LOCAL.user_id, scene.stream_id))
    assert scene.pipe.status == 204


def _check(scene: Scene[UnifiedReader], kept: StoredMessage) -> None:
    reader, plan = scene.reader, scene.plan
    assert reader.text == kept.content
    assert [end["full_content"] for end in reader.ends] == [kept.content]
    assert [call["args"] for call in reader.of_type("tool_call")] == [c.arguments for c in kept.tool_calls]
    assert reader.seqs == sorted(reader.seqs)
    if plan.ending == "end":
        assert (kept.status, kept.content) == ("complete", plan.text)


@contextmanager
def no_errors_logged() -> Iterator[None]:
    told: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("sluice")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    assert told == []


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="module")
def store(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    """One database for all examples, each of which adds a reply."""
    folder: Path = tmp_path_factory.mktemp("guarantee")
    store = SqlStore(f"sqlite+aiosqlite:///{folder / 'sluice.db'}", access=OwnerAccess())
    with portal.wrap_async_context_manager(store.running()):
        yield store


CALL = ToolCall("call", "look", "{}")
WORDS: list[list[TransportEvent]] = [
    [Delta("one ")],
    [Delta("two ")],
    [Reasoning("hm")],
    [CALL, Delta("three")],
]


def plan_of(batches: list[list[TransportEvent]], moves: list[Move], **more: Any) -> Plan:
    usual: dict[str, Any] = {"in_one_piece": False, "ending": "end", "journal_bytes": 0, "cuts": []}
    return Plan(batches, moves=moves, **{**usual, "forgotten_after": 5, **more})


@settings(max_examples=100, deadline=None)
@given(plan=PLANS)
# Each of these was once lost or doubled.
@example(plan_of(WORDS, ["say"], ending="shutdown"))
@example(plan_of(WORDS, ["say", "say"], in_one_piece=True, ending="shutdown", cuts=[0], forgotten_after=1))
@example(plan_of([[Delta("one "), CALL, CALL]], ["say"], in_one_piece=True, ending="stop"))
@example(plan_of([*WORDS[2:3], *WORDS[:1]], [0, "say", "keep", "come back", "say", "come back"]))
@example(plan_of(WORDS, [0, "say", "say", "say", "say", "keep"]))
@example(plan_of(WORDS, ["say", "block", "say", "say", "keep", "unblock"]))
def test_nothing_is_lost_and_nothing_comes_twice(portal: BlockingPortal, store: SqlStore, plan: Plan) -> None:
    with no_errors_logged():
        portal.call(_act, store, plan)


@pytest.mark.parametrize("seed", range(5))
async def test_the_same_over_real_connections(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    texts = ["".join(chance.choices("aé🙂\u2028\r\n\u0301", k=chance.randint(1, 40))) for _ in range(200)]
    turns = asyncio.Semaphore(0)

    def say_one_more() -> bool:
        turns.release()
        return False

    steps: list[Step] = [step for batch in tokens(*texts) for step in (turns.acquire, batch)]
    async with (
        served(tmp_path, lambda _: steps, journal_max_bytes=chance.choice([1024, 10**6])) as gateway,
        RawClient(gateway.url) as client,
    ):
        reader = await client.ask("Hi", resumable=True)
        drops = 0
        while not reader.source.ended:
            room = chance.randint(1, chance.choice([200, 200, 200, 200, 20_000]))
            await reader.read(say_one_more, room=room)
            await (reader.reset() if chance.random() < 0.5 else reader.close())
            drops += 1
            reader = await client.come_back(reader.stream_id, reader.source)
        (_, kept) = await gateway.messages()
    assert reader.source.text == kept["content"] == "".join(texts)
    assert drops > 5
