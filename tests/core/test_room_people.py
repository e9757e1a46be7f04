"""The people of a room come, type and go, and those who may not hear it hear nothing."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.contract.errors import NotFound
from gateway.contract.rooms import Member, Memberships
from gateway.core import room_people
from gateway.core.members import MemberAccess
from tests.core.room_house import ANNA, BEN, Ear, room_house
from transports.scripted import tokens


async def test_people_come_change_and_go(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        ear, ben = Ear(), Ear()
        await room.join(ear)
        place = await room.join(ben, BEN)
        second = await room.join(Ear(), BEN)
        place.say_presence("away", {"mood": "tired"})
        place.leave()
        place.leave()
        assert [person.status for person in second.people()] == ["online", "away"]
        second.leave()
        assert ear.heard == [
            ("came", "ben"),
            ("presence", "ben", "away", {"mood": "tired"}),
            ("went", "ben"),
        ]
        assert ben.heard == []


async def test_typing_is_told_once_and_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        ear, ben = Ear(), Ear()
        await room.join(ear)
        place = await room.join(ben, BEN)
        for _ in range(1_000):
            place.say_typing(True)
        assert place.typing() == [BEN]
        place.say_typing(False)
        monkeypatch.setattr(room_people, "TYPES_FOR_S", 0.0)
        place.say_typing(True)
        await ear.until(lambda: ear.heard[-1] == ("typing", "ben", False) and len(ear.heard) == 5)
        assert [what[2] for what in ear.heard if what[0] == "typing"] == [True, False, True, False]
        monkeypatch.undo()
        place.say_typing(True)
        place.leave()
        assert ear.heard[-2:] == [("typing", "ben", False), ("went", "ben")]


async def test_a_stranger_is_refused_and_a_removed_member_is_dismissed(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        with pytest.raises(NotFound):
            await room.hall.join("eve", BEN, room.session, Ear())
        stays = True
        ear, ben = Ear(), Ear()
        await room.join(ear)
        await room.hall.join("local", BEN, room.session, ben, may_stay=lambda: stays)
        stays = False
        room.hall.members_changed(room.session.id)
        await room.home.answer("Hi", room.session.id)
        await ear.end()
        assert ben.dismissed == [room.session.id]
        assert ("message", "user:local", "Hi") not in ben.heard
        assert {("went", "ben"), ("members",)} <= set(ear.heard)


async def no_rooms(_: object) -> Memberships:
    return Memberships((0, 0), {})


async def test_the_listeners_of_a_room_that_another_gateway_deleted_are_dismissed(tmp_path: Path) -> None:
    access = MemberAccess()
    async with room_house(tmp_path, lambda _: tokens("ok"), access=access) as room:
        access.put(room.session.id, [Member("user", "local", "owner")])
        shared, alone = Ear(), Ear()
        await room.join(shared)
        other = await room.home.store.create_session("local", "not shared")
        await room.hall.join("local", ANNA, other, alone)
        room.hall.members_changed()
        assert shared.dismissed == []
        await access.reload(SimpleNamespace(memberships=no_rooms))
        room.hall.members_changed()
        assert (shared.dismissed, alone.dismissed) == ([room.session.id], [])


async def test_listeners_whose_news_were_lost_are_dismissed(tmp_path: Path) -> None:
    async with room_house(tmp_path, lambda _: tokens("ok")) as room:
        ear = Ear()
        await room.join(ear)
        room.home.news.close_all()
        await ear.until(lambda: ear.dismissed)
        again = Ear()
        await room.join(again, after=0)
        await room.home.answer("Hi", room.session.id)
        await again.end()
        assert again.text == "ok"
