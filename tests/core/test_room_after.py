"""The number with which a listener comes back into a room, so that it misses nothing."""

from pathlib import Path

from gateway.contract.events import Delta, Done
from gateway.contract.room_events import MessagePosted, ReplyOver
from tests.core.room_house import BEN, Ear, Gate, afters, last_line, room_house
from transports.scripted import Step, tokens


async def test_after_stays_below_a_running_reply(tmp_path: Path) -> None:
    gate = Gate()
    scripts: dict[str, list[Step]] = {"long": [[Delta("Hel")], gate, [Done("stop")]], "short": tokens("ok")}
    async with room_house(tmp_path, lambda request: scripts[last_line(request)]) as room:
        first = Ear()
        assert (await room.join(first)).after == 0
        long = (await room.home.ask("long", room.session.id, unattended=True)).exchange
        await first.until(lambda: first.text == "Hel")
        short = (await room.home.ask("short", room.session.id, unattended=True)).exchange
        await first.end()
        late = Ear()
        assert (await room.join(late, BEN, after=0)).after == long.user_message_id
        first.events.clear()
        gate.opened.set()
        await first.end()
    question = long.user_message_id
    assert afters(first) == [short.assistant_message_id]
    assert afters(late)[:4] == [question] * 4
    assert [what[0] for what in late.heard[:4]] == ["message", "began", "message", "message"]


async def test_a_listener_that_comes_back_with_the_last_after_misses_no_end_of_a_reply(
    tmp_path: Path,
) -> None:
    gate = Gate()
    scripts: dict[str, list[Step]] = {"long": [[Delta("Hel")], gate, [Done("stop")]], "short": tokens("ok")}
    async with room_house(tmp_path, lambda request: scripts[last_line(request)]) as room:
        ear = Ear()
        place = await room.join(ear)
        run = await room.home.ask("long", room.session.id, unattended=True)
        await ear.until(lambda: ear.text == "Hel")
        await room.home.answer("short", room.session.id)
        await ear.until(lambda: ("message", "user:local", "short") in ear.heard)
        place.leave()
        gate.opened.set()
        await run.ended.wait()
        again = Ear()
        await room.join(again, after=next(after for after in reversed(afters(ear)) if after is not None))
        assert again.heard == [
            ("message", "assistant:", "Hel"),
            ("message", "user:local", "short"),
            ("message", "assistant:", "ok"),
        ]


async def test_after_stays_below_a_reply_that_ends_while_missed_messages_are_read(tmp_path: Path) -> None:
    gate = Gate()
    scripts: dict[str, list[Step]] = {"long": [[Delta("Hel")], gate, [Done("stop")]], "short": tokens("ok")}
    async with room_house(tmp_path, lambda request: scripts[last_line(request)]) as room:
        run = await room.home.ask("long", room.session.id, unattended=True)
        await gate.reached.wait()
        await room.home.answer("short", room.session.id)
        messages = room.home.store.messages
        first = Ear()
        await room.join(first)

        async def while_it_ends(*args: object, **more: object) -> object:
            gate.opened.set()
            await run.ended.wait()
            await first.until(lambda: any(isinstance(event.what, ReplyOver) for event in first.events))
            return await messages(*args, **more)  # type: ignore[arg-type]

        room.home.store.messages = while_it_ends  # type: ignore[method-assign, assignment]
        ear = Ear()
        await room.join(ear, BEN, after=0)
    whole: set[int] = set()
    for event in ear.events:  # its connection may be lost after each of them
        if isinstance(event.what, MessagePosted | ReplyOver):
            whole.add(event.what.message_id)
        assert event.after is None or whole >= set(range(1, event.after + 1))
    assert whole == {1, 2, 3, 4}


async def test_a_listener_that_has_heard_nothing_can_come_back(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda request: tokens(f"To {request.turns[-1].content}")) as room:
        await room.home.answer("one", room.session.id)
        place = await room.join(Ear())
        place.leave()
        await room.home.answer("two", room.session.id)
        again = Ear()
        await room.join(again, after=place.after)
        assert again.heard == [("message", "user:local", "two"), ("message", "assistant:", "To two")]
