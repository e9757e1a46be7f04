"""A device that asks in a room gets the reply as its chat's answer, and not as the room's too."""

import asyncio
from itertools import groupby
from pathlib import Path

from gateway.contract.branches import Spot
from gateway.contract.events import Delta
from tests.core.house import USER
from tests.transports.mqtt.devices.room_scene import BEN, ROBOT, heard, scene
from transports.scripted import Script, tokens


async def test_a_device_that_comes_back_while_it_is_answered_hears_the_answer_once(tmp_path: Path) -> None:
    held = asyncio.Event()
    script: Script = lambda _: [[Delta("Hel")], held.wait, *tokens("lo")]  # noqa: E731
    async with scene(tmp_path, BEN, ROBOT, script=script) as at:
        at.device.chat("c1", "@model Hi", session=at.session.key)
        await at.device.until("chunk", id="c1")
        at.gateway.devices.went("robot-1")  # as the next start of a gateway, which knows no devices
        await at.present(until=False)
        at.gateway.devices.came("robot-1", only_here=False)
        await at.present()
        held.set()
        await at.device.until("end", id="c1")
        await at.post("Thanks")
        await heard(at.device, "message", text="Thanks")
        assert at.device.text("c1") == "Hello"
        assert [frame["type"] for frame in at.room_frames()] == ["message"]


async def test_another_reply_to_its_question_is_heard_as_the_rooms(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        at.device.chat("c1", "@model Hi", session=at.session.key)
        await at.device.until("end", id="c1")
        asked, _ = await at.gateway.home.store.messages(USER, at.session.id)
        spot = Spot(asked.parent_id, asked.id)
        await at.gateway.home.answer("@model Hi", at.session.id, branch=spot, author=asked.author)
        await heard(at.device, "end")
        types = [type for type, _ in groupby(frame["type"] for frame in at.room_frames())]
    assert types == ["accept", "chunk", "end"]
