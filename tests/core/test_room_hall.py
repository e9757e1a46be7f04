"""A room's listeners hear the same messages and the same reply, each once."""

from pathlib import Path

from gateway.contract.events import Delta, Done, ToolCall
from gateway.contract.room_events import ReplyBegan
from gateway.core.access import OwnerAccess
from tests.core.room_house import ANNA, BEN, Ear, Gate, last_line, room_house
from transports.scripted import Step, tokens, whole


async def test_all_listeners_hear_the_question_and_the_reply(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("Hel", "lo", "!")) as room:
        anna, ben = Ear(), Ear()
        await room.join(anna)
        await room.join(ben, BEN)
        await room.home.answer("Hi", room.session.id)
        assert (await anna.end()).status == (await ben.end()).status == "complete"
    for ear in anna, ben:
        assert ear.text == "Hello!"
        kinds = [name for name, *_ in ear.heard if name not in ("grew", "came")]
        assert kinds == ["message", "began", "over"]
        assert ("message", "user:local", "Hi") in ear.heard


async def test_an_event_is_made_once_for_all_listeners(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("a", "b")) as room:
        ears = [Ear() for _ in range(3)]
        for ear in ears:
            await room.join(ear, ANNA)
        await room.home.answer("Hi", room.session.id)
        for ear in ears:
            await ear.end()
    made = [{id(event) for event in ear.events} for ear in ears]
    assert made[0] == made[1] == made[2]


async def test_a_late_listener_gets_the_text_so_far_once_and_then_the_rest(tmp_path: Path) -> None:
    gate = Gate()
    script: list[Step] = [[Delta("Hel")], gate, [Delta("lo")], [Done("stop")]]
    async with room_house(tmp_path, lambda _: script) as room:
        early, late = Ear(), Ear()
        await room.join(early)
        await room.home.ask("Hi", room.session.id, unattended=True)
        await early.until(lambda: early.text == "Hel")
        await room.join(late, BEN)
        assert late.heard == [("began", "Hel")]
        gate.opened.set()
        await late.end()
        assert late.text == "Hello"
        assert [name for name, *_ in late.heard] == ["began", "grew", "over"]


async def test_a_reply_that_ran_before_the_first_listener_came_is_heard_from_its_beginning(
    tmp_path: Path,
) -> None:
    gate = Gate()
    script: list[Step] = [[Delta("Hel")], gate, [Delta("lo")], [Done("stop")]]
    async with room_house(tmp_path, lambda _: script) as room:
        await room.home.ask("Hi", room.session.id, unattended=True)
        await gate.reached.wait()
        ear = Ear()
        await room.join(ear)
        gate.opened.set()
        await ear.end()
        assert ear.text == "Hello"


async def test_a_whole_reply_a_failed_one_and_a_stopped_one_end_in_the_room(tmp_path: Path) -> None:
    gate = Gate()
    scripts: dict[str, list[Step]] = {
        "whole": whole("All of it"),
        "tool": [[ToolCall("1", "look", "{}")], [Done("tool_calls")]],
        "stop": [[Delta("Never")], gate, [Done("stop")]],
    }
    async with room_house(tmp_path, lambda request: scripts[last_line(request)]) as room:
        ear = Ear()
        await room.join(ear)
        await room.home.answer("whole", room.session.id)
        assert (await ear.end()).chars == len(ear.text) == len("All of it")
        ear.events.clear()
        await room.home.answer("tool", room.session.id)
        assert (await ear.end()).tool_calls == (ToolCall("1", "look", "{}"),)
        ear.events.clear()
        run = await room.home.ask("stop", room.session.id, unattended=True)
        await gate.reached.wait()
        await room.home.runs.end(run)
        assert (await ear.end()).status == "cancelled"
        assert ear.text == "Never"


async def test_a_reply_whose_older_events_were_dropped_is_told_whole(tmp_path: Path) -> None:
    gate = Gate()
    pieces = [f"{number} " for number in range(2_000)]
    script: list[Step] = [*([Delta(piece)] for piece in pieces), gate, [Delta("end")], [Done("stop")]]
    async with room_house(tmp_path, lambda _: script) as room:
        room.home.journal._max_bytes = 2_000
        await room.home.ask("Hi", room.session.id, unattended=True)
        await gate.reached.wait()
        await room.home.checkpoints.keep_all()
        ear = Ear()
        await room.join(ear)
        gate.opened.set()
        await ear.end()
        assert ear.text == "".join(pieces) + "end"


async def test_a_room_without_listeners_keeps_nothing(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok"), access=OwnerAccess()) as room:
        place = await room.join(Ear())
        place.leave()
        assert not room.hall._channels
        assert len(room.home.news) == 0
        await room.home.answer("Hi", room.session.id)


async def test_a_late_listener_of_an_ended_reply_hears_no_beginning(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        first = Ear()
        await room.join(first)
        await room.home.answer("Hi", room.session.id)
        await first.end()
        late = Ear()
        await room.join(late, BEN)
        assert not any(isinstance(event.what, ReplyBegan) for event in late.events)
