"""Devices in rooms are present while they can be reached, and hear who else is."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.authors import Author
from gateway.contract.events import Delta
from tests.core.house import USER
from tests.core.room_house import Ear
from tests.transports.mqtt.devices.room_scene import (
    BEN,
    ROBOT,
    heard,
    scene,
)
from transports.scripted import Script, tokens


async def test_the_presence_of_a_device_is_its_status(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        at.device.status("lost", incarnation=1)
        await at.present(until=False)
        await at.post("Nobody hears this")
        at.device.status("ready", incarnation=2)
        await at.present()
        await at.post("Hello again")
        await heard(at.device, "message", text="Hello again")
        assert [frame["text"] for frame in at.room_frames()] == ["Hello again"]


async def test_a_device_without_a_status_hears_the_room_after_its_first_chat(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT, heard=False) as at:
        await at.present(until=False)
        at.device.chat("c1", "Hi", session=at.session.key)
        await at.present()
        await at.post("Hello")
        await heard(at.device, "message", text="Hello")


async def test_people_and_typing_are_told(tmp_path: Path) -> None:
    anna = Author("user", "anna")
    async with scene(tmp_path, BEN, ROBOT) as at:
        place = await at.gateway.hall.join(USER, anna, at.session, Ear())
        place.say_typing(True)
        place.say_presence("busy", {"large": "x" * 10_000})
        place.say_typing(False)
        place.leave()
        told = {"room": at.session.key, "author": {"kind": "user", "name": "anna"}}
        await heard(at.device, "presence", status="offline", **told)
        frames = [frame for frame in at.device.heard if frame.get("author") == told["author"]]
    assert frames == [
        {"type": "presence", **told, "status": "online"},
        {"type": "typing", **told, "typing": True},
        {"type": "presence", **told, "status": "busy"},
        {"type": "typing", **told, "typing": False},
        {"type": "presence", **told, "status": "offline"},
    ]


async def test_a_removed_device_hears_nothing_more_at_once_and_an_added_one_does(tmp_path: Path) -> None:
    held = asyncio.Event()
    script: Script = lambda _: [[Delta("Hel")], held.wait, *tokens("lo")]  # noqa: E731
    async with scene(tmp_path, BEN, ROBOT, script=script) as at:
        await at.post("@model Hi")
        await heard(at.device, "chunk")
        at.members(BEN)
        held.set()
        count = len(at.room_frames())
        await at.post("Is it gone?")
        await at.present(until=False)
        at.device.chat("c1", "", session=at.session.key)
        await at.device.until("error", id="c1")
        assert len(at.room_frames()) == count
        at.members(BEN, ROBOT)
        await at.present()
        await at.post("Welcome")
        await heard(at.device, "message", text="Welcome")
        assert [frame["text"] for frame in at.room_frames()[count:]] == ["Welcome"]


async def test_a_device_that_now_belongs_to_somebody_else_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.core.device_rooms.LOOK_AGAIN_S", 0.01)
    async with scene(tmp_path, BEN, ROBOT) as at:
        await at.gateway.home.store.add_device("robot-1", "eve")  # type: ignore[attr-defined]
        await at.present(until=False)
