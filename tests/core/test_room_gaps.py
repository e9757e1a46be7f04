"""A room orders messages by id, also those of other gateways whose signals come late or never."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gateway.contract.events import Delta, Done, ReaderEvent
from gateway.contract.notes import NewNote, posted
from gateway.contract.replies_elsewhere import RunningReply
from gateway.contract.room_events import MessagePosted, ReplyOver
from gateway.core import room_news
from gateway.core.session_news import MessageStored, ReplyStarted
from tests.core.house import USER
from tests.core.room_house import ANNA, BEN, Ear, Gate, RoomHouse, held_messages, room_house
from tests.store.memory_replies import MemoryDatabase
from transports.scripted import Step, tokens


class Elsewhere:
    """Implements RepliesElsewhere: another gateway that says nothing."""

    async def in_session(self, session_id: int) -> Sequence[RunningReply]:
        return []

    async def reading(self, stream_id: str, user_id: str) -> AsyncIterator[Sequence[ReaderEvent]]:
        for _ in ():
            yield []


async def stored_elsewhere(room: RoomHouse, text: str) -> int:
    """Store a message whose signal is still on its way. Return its id."""
    kept = await room.home.store.post(NewNote(USER, room.session.id, BEN, text))
    return kept.message.id


def spoken(ear: Ear) -> list[tuple[str, str]]:
    return [(what[1], what[2]) for what in ear.heard if what[0] == "message"]


def assert_after_is_below_all_that_follows(ear: Ear) -> None:
    whole: set[int] = set()
    for event in ear.events:
        if isinstance(event.what, MessagePosted | ReplyOver):
            whole.add(event.what.message_id)
        assert event.after is None or whole >= set(range(1, event.after + 1))


async def test_an_earlier_message_of_another_gateway_is_told_before_a_later_one(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        ear = Ear()
        await room.join(ear)
        earlier = [await stored_elsewhere(room, text) for text in ("one", "two")]
        await room.home.answer("three", room.session.id)
        await ear.end()
        for id in earlier:
            room.home.news.deliver(room.session.id, MessageStored(id))
        await room.home.answer("four", room.session.id)
        await ear.until(lambda: sum(what[0] == "over" for what in ear.heard) == 2)
    assert [text for _, text in spoken(ear)] == ["one", "two", "three", "four"]
    assert_after_is_below_all_that_follows(ear)


async def test_a_signal_tells_the_messages_before_its_own_too(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        ear = Ear()
        await room.join(ear)
        first, second = [await stored_elsewhere(room, text) for text in ("one", "two")]
        room.home.news.deliver(room.session.id, MessageStored(second))
        room.home.news.deliver(room.session.id, MessageStored(first))
        late = posted(await room.home.store.message(USER, first))
        room.home.news.deliver(room.session.id, late)
        await ear.until(lambda: len(ear.events) == 2)
        await room.home.answer("three", room.session.id)
        await ear.end()
    assert [text for _, text in spoken(ear)] == ["one", "two", "three"]


async def test_a_message_that_is_stored_while_a_listener_joins_follows_those_that_were_told_meanwhile(
    tmp_path: Path,
) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        first, ear = Ear(), Ear()
        await room.join(first)
        reading, may_read = held_messages(room)
        joining = asyncio.create_task(room.join(ear, BEN, after=0))
        await reading.wait()
        told = await room.home.store.message(USER, await stored_elsewhere(room, "one"))
        room.home.news.deliver(room.session.id, posted(told))
        await first.until(lambda: ("message", "user:ben", "one") in first.heard)
        second = await stored_elsewhere(room, "two")
        may_read.set()
        await joining
        room.home.news.deliver(room.session.id, MessageStored(second))
        await ear.until(lambda: len(spoken(ear)) == 2)
    assert [text for _, text in spoken(ear)] == ["one", "two"]
    assert_after_is_below_all_that_follows(ear)


async def test_a_reply_that_ended_in_a_gap_is_told_once(tmp_path: Path) -> None:
    database = MemoryDatabase()
    async with (
        room_house(tmp_path, lambda _: tokens("ok"), database=database) as other,
        room_house(tmp_path, lambda _: tokens("here"), database=database) as room,
    ):
        room.session = other.session
        ear = Ear()
        await room.join(ear)
        run = await other.home.ask("Hi", other.session.id, unattended=True)
        await run.ended.wait()
        news, ids = room.home.news, run.exchange
        news.deliver(room.session.id, MessageStored(await stored_elsewhere(room, "one")))
        news.deliver(room.session.id, MessageStored(ids.user_message_id))
        late = ReplyStarted(run.stream_id, ids.assistant_message_id, ids.user_message_id)
        news.deliver(room.session.id, late)
        news.deliver(room.session.id, MessageStored(await stored_elsewhere(room, "two")))
        await ear.until(lambda: ("message", "user:ben", "two") in ear.heard)
    assert [text for _, text in spoken(ear)] == ["Hi", "ok", "one", "two"]
    assert len(ear.events) == 4
    assert_after_is_below_all_that_follows(ear)


async def test_a_reply_that_runs_in_a_gap_is_heard_and_after_stays_below_it(tmp_path: Path) -> None:
    gate, database = Gate(), MemoryDatabase()
    script: list[Step] = [[Delta("Hel")], gate, [Delta("lo")], [Done("stop")]]
    async with (
        room_house(tmp_path, lambda _: script, database=database) as other,
        room_house(tmp_path, lambda _: tokens("here"), database=database, elsewhere=Elsewhere()) as room,
    ):
        room.session = other.session
        ear = Ear()
        await room.join(ear)
        run = await other.home.ask("Hi", other.session.id, unattended=True)
        await gate.reached.wait()
        kept = await room.home.store.post(NewNote(USER, room.session.id, ANNA, "So"))
        room.home.news.deliver(room.session.id, MessageStored(kept.message.id))
        await ear.until(lambda: ("message", "user:anna", "So") in ear.heard)
        question = run.exchange.user_message_id
        assert [event.after for event in ear.events] == [question] * 3
        gate.opened.set()
        await ear.end()
    assert ear.text == "Hello"
    assert_after_is_below_all_that_follows(ear)


async def test_a_message_that_is_stored_while_a_room_opens_is_told(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        last_message, stored = room.hall._last_message, list[int]()

        async def then_stored(session_id: int, *, before: int | None = None) -> int:
            last = await last_message(session_id, before=before)
            if not stored:
                stored.append(await stored_elsewhere(room, "one"))
            return last

        room.hall._last_message = then_stored
        ear = Ear()
        place = await room.join(ear)
        assert spoken(ear) == [("user:ben", "one")]
        assert place.after == stored[0]


async def test_a_message_that_came_before_others_knew_of_the_listener_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_news, "SETTLE_S", 0.0)
    async with room_house(tmp_path, lambda _: tokens("ok"), elsewhere=Elsewhere()) as room:
        ear = Ear()
        await room.join(ear)
        await stored_elsewhere(room, "one")
        await ear.until(lambda: spoken(ear) == [("user:ben", "one")])
