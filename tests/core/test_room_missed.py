"""A listener that joins a room first gets what it missed, each message once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gateway.contract.content import Image, Text
from gateway.contract.errors import StorageFailed
from gateway.contract.events import Delta, Done, ReaderEvent
from gateway.contract.record import replace
from gateway.contract.replies_elsewhere import RunningReply
from gateway.contract.room_events import ReplyOver
from gateway.contract.store import StoredMessage
from gateway.core import room_missed
from tests.core.house import USER
from tests.core.room_house import ANNA, BEN, Ear, Gate, afters, held_messages, last_line, room_house
from transports.scripted import Step, tokens


async def test_a_listener_that_comes_back_gets_each_message_that_it_missed_once(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda request: tokens(f"To {last_line(request)}")) as room:
        first = await room.home.ask("one", room.session.id)
        await room.home.answer("two", room.session.id)
        ear = Ear()
        await room.join(ear, after=first.exchange.user_message_id)
        await room.home.answer("three", room.session.id)
        await ear.end()
    assert [what for what in ear.heard if what[0] == "message"] == [
        ("message", "assistant:", "To one"),
        ("message", "user:local", "two"),
        ("message", "assistant:", "To two"),
        ("message", "user:local", "three"),
    ]
    assert ear.text == "To three"


async def test_what_happens_while_missed_messages_are_read_is_neither_lost_nor_repeated(
    tmp_path: Path,
) -> None:
    gate = Gate()
    script: list[Step] = [[Delta("Hel")], gate, [Delta("lo")], [Done("stop")]]
    async with room_house(tmp_path, lambda _: script) as room:
        asked = await room.home.ask("one", room.session.id, unattended=True)
        await gate.reached.wait()
        reading, may_read = held_messages(room)
        ear = Ear()
        joining = asyncio.create_task(room.join(ear, after=0))
        await reading.wait()
        gate.opened.set()
        await asked.ended.wait()
        await room.home.answer("two", room.session.id)
        may_read.set()
        await joining
        await ear.until(lambda: sum(isinstance(event.what, ReplyOver) for event in ear.events) == 2)
    told = [what for what in ear.heard if what[0] in ("message", "over")]
    assert sorted(told) == sorted(
        [
            ("message", "user:local", "one"),
            ("message", "user:local", "two"),
            ("over", "complete", 5),
            ("over", "complete", 5),
        ]
    )


async def test_a_missed_message_whose_news_come_late_is_heard_once(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        first, second, may_read = Ear(), Ear(), asyncio.Event()
        await room.join(first)
        store = room.home.store
        message = store.message

        async def slow(*args: object) -> object:
            await may_read.wait()
            return await message(*args)  # type: ignore[arg-type]

        store.message = slow  # type: ignore[method-assign, assignment]
        await room.home.answer("Hi", room.session.id)
        await room.join(second, BEN, after=0)
        may_read.set()
        await first.end()
        assert second.heard == [("message", "user:local", "Hi"), ("message", "assistant:", "ok")]
        assert [what for what in first.heard if what[0] == "message"] == [("message", "user:local", "Hi")]


async def test_a_running_reply_begins_at_its_place_among_missed_messages(tmp_path: Path) -> None:
    gate = Gate()
    scripts: dict[str, list[Step]] = {"long": [[Delta("Hel")], gate, [Done("stop")]], "short": tokens("ok")}
    async with room_house(tmp_path, lambda request: scripts[last_line(request)]) as room:
        first = Ear()
        await room.join(first)
        await room.home.ask("long", room.session.id, unattended=True)
        await first.until(lambda: first.text == "Hel")
        await room.home.answer("short", room.session.id)
        ear = Ear()
        await room.join(ear, BEN, after=0)
        assert ear.heard == [
            ("message", "user:local", "long"),
            ("began", "Hel"),
            ("message", "user:local", "short"),
            ("message", "assistant:", "ok"),
        ]
        gate.opened.set()


async def test_a_join_waits_until_the_replies_of_other_gateways_are_known(tmp_path: Path) -> None:
    looked, may_look = asyncio.Event(), asyncio.Event()

    class Elsewhere:
        async def in_session(self, session_id: int) -> list[RunningReply]:
            looked.set()
            await may_look.wait()
            return [RunningReply("s", 2, 1)]

        async def reading(self, stream_id: str, user_id: str) -> AsyncIterator[Sequence[ReaderEvent]]:
            yield [Delta("ok")]
            await asyncio.Event().wait()

    async def running(*_: object) -> StoredMessage:
        return replace(stored, status="streaming")

    async with room_house(tmp_path, lambda _: tokens("ok"), elsewhere=Elsewhere()) as room:
        await room.home.answer("one", room.session.id)
        await room.home.answer("two", room.session.id)
        stored = await room.home.store.message(USER, 2)
        room.home.store.reply = running  # type: ignore[method-assign, assignment]
        ear = Ear()
        joining = asyncio.create_task(room.join(ear, after=1))
        await looked.wait()
        assert ear.heard == []
        may_look.set()
        assert (await joining).after == 1
        assert ear.heard[0] == ("began", "")
        assert afters(ear) == [1, 1, 1]
        await ear.until(lambda: ear.text == "ok")


async def test_a_join_ends_if_the_replies_of_other_gateways_are_not_known(tmp_path: Path) -> None:
    class Elsewhere:
        async def in_session(self, session_id: int) -> list[RunningReply]:
            raise StorageFailed("away")

    async with room_house(tmp_path, lambda _: tokens("ok"), elsewhere=Elsewhere()) as room:  # type: ignore[arg-type]
        ear = Ear()
        await room.join(ear, after=0)
        assert (ear.heard, ear.dismissed) == ([], [room.session.id])


async def test_too_many_missed_messages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_missed, "MAX_MISSED", 3)
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        for _ in range(2):
            await room.home.answer("Hi", room.session.id)
        ear = Ear()
        with pytest.raises(room_missed.TooMuchMissed):
            await room.join(ear, after=0)
        assert not ear.heard
        others = Ear()
        await room.join(others)
        assert [person.who for person in (await room.join(Ear(), BEN)).people()] == [ANNA, BEN]


async def test_missed_messages_that_are_too_long_together_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_missed, "MAX_MISSED_CHARS", 20)
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        await room.home.answer("x" * 18, room.session.id)
        await room.join(Ear(), after=0)
        await room.home.answer("x", room.session.id)
        with pytest.raises(room_missed.TooMuchMissed, match="More than 1000 messages or 20 characters"):
            await room.join(Ear(), after=0)


async def test_each_missed_message_costs_and_more_if_it_is_long_or_was_left_out_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_missed, "CHARS_PER_COST", 100)
    monkeypatch.setattr(room_missed, "MAX_ATTACHED_BYTES", 30)
    costs: list[int] = []
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        await room.home.answer("x" * 250, room.session.id)
        await room.join(Ear(), after=0, on_read=costs.append)
        assert costs.pop() == 2 + 2
        await room.join(Ear(), after=2, on_read=costs.append)
        await room.join(Ear(), on_read=costs.append)
        assert costs == []
        await room.home.answer((Image("image/png", "A" * 300),), room.session.id)
        await room.join(Ear(), after=2, on_read=costs.append)
        assert costs.pop() == 2 + 3
        monkeypatch.setattr(room_missed, "MAX_MISSED", 3)
        with pytest.raises(room_missed.TooMuchMissed):
            await room.join(Ear(), after=0, on_read=costs.append)
        assert costs == [2 + 2 + 2 + 3]


async def test_large_attachments_of_missed_messages_are_left_out_and_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, empty = Image("image/png", "A" * 40), Image("image/png", "")
    monkeypatch.setattr(room_missed, "MAX_MISSED_CHARS", 100)
    monkeypatch.setattr(room_missed, "MAX_ATTACHED_BYTES", 30)
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        await room.home.answer((Text("small"), small), room.session.id)
        await room.home.answer((Text("large"), small, small), room.session.id)
        await room.home.answer((small, small), room.session.id)
        ear = Ear()
        await room.join(ear, after=0)
    assert [what[2] for what in ear.heard if what[:2] == ("message", "user:local")] == [
        (Text("small"), small),
        (Text("large"), empty, empty),
        (empty, empty),
    ]
