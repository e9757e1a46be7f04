"""A gateway dies while a room hears a reply: its devices get the end, also if they come back after it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path

import pytest

from gateway.contract.adoption import LeftReply
from gateway.contract.errors import Interrupted
from gateway.contract.events import Delta
from gateway.contract.rooms import Member
from gateway.core import device_rooms, taken_replies
from tests.core.house import USER
from tests.transports.mqtt.device_scene import second_core
from tests.transports.mqtt.devices.room_scene import BEN, ROBOT, Gateway, Scene, gateway_on, heard, scene
from transports.scripted import Script

SECOND = Member("device", "robot-2")


async def ended(at: Scene) -> LeftReply:
    """Let a reply end that no device hears."""
    posted = await at.post("@model Hi")
    run = at.gateway.home.runs.find(str(posted.stream_id), USER)
    await run.ended.wait()
    ids = run.exchange
    return LeftReply(at.session.id, run.stream_id, ids.assistant_message_id, ids.user_message_id)


async def settled(at: Scene) -> None:
    """Wait until all is done for the first device: they come one after the other."""
    at.gateway.devices.came("robot-2", only_here=False)
    await at.present("robot-2")
    await at.post("Thanks")
    await heard(at.device, "message", text="Thanks")


def kinds(at: Scene) -> list[str]:
    return [type for type, _ in groupby(frame["type"] for frame in at.room_frames())]


async def test_a_device_that_comes_after_the_end_gets_the_reply_once(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT, SECOND, heard=False) as at:
        reply = await ended(at)
        at.gateway.devices.taken(reply)
        at.device.status("ready", incarnation=1)
        end = await heard(at.device, "end", id=reply.stream_id)
        text = "".join(frame["text"] for frame in at.room_frames() if frame["type"] == "chunk")
        at.gateway.devices.taken(reply)
        await settled(at)
    assert (text, end["length"]) == ("Hello", len("Hello"))
    assert kinds(at) == ["accept", "chunk", "end", "message"]


async def test_one_that_failed_ends_with_its_error(tmp_path: Path) -> None:
    async def breaks_off() -> None:
        raise Interrupted("The model has gone.")

    script: Script = lambda _: [[Delta("Hel")], breaks_off]  # noqa: E731
    async with scene(tmp_path, BEN, ROBOT, SECOND, heard=False, script=script) as at:
        reply = await ended(at)
        at.gateway.devices.taken(reply)
        at.device.status("ready", incarnation=1)
        error = await heard(at.device, "error", id=reply.stream_id)
    assert error["length"] == len("Hel")
    assert kinds(at) == ["accept", "chunk", "error"]


async def test_a_device_that_heard_the_beginning_here_hears_it_once(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT, SECOND) as at:
        reply = await ended(at)
        await heard(at.device, "end")
        at.gateway.devices.taken(reply)
        await settled(at)
    assert kinds(at) == ["message", "accept", "chunk", "end", "message"]


async def test_the_device_that_asked_gets_its_answer_only(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT, SECOND) as at:
        at.device.chat("c1", "@model Hi", session=at.session.key)
        await at.device.until("end", id="c1")
        _, reply = await at.gateway.home.store.messages(USER, at.session.id)
        at.gateway.devices.went("robot-1")
        await at.present(until=False)
        at.gateway.devices.taken(LeftReply(at.session.id, reply.stream_id or "", reply.id, 1))
        at.gateway.devices.came("robot-1", only_here=False)
        await at.present()
        await settled(at)
    assert kinds(at) == ["message"]


async def test_a_device_that_comes_and_goes_gets_it_once(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT, SECOND, heard=False) as at:
        reply = await ended(at)
        at.gateway.devices.taken(reply)
        for incarnation in (1, 2, 3):
            at.device.status("ready", incarnation=incarnation)
            await at.present()
            at.device.status("lost", incarnation=incarnation)
            await at.present(until=False)
        at.device.status("ready", incarnation=4)
        await at.present()
        await settled(at)
    assert kinds(at) == ["accept", "chunk", "end", "message"]


async def test_after_its_time_nothing_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken_replies, "KEPT_S", -1.0)
    async with scene(tmp_path, BEN, ROBOT, SECOND, heard=False) as at:
        at.gateway.devices.taken(await ended(at))
        at.device.status("ready", incarnation=1)
        await at.present()
        await settled(at)
    assert kinds(at) == ["message"]


@asynccontextmanager
async def another(at: Scene) -> AsyncIterator[Gateway]:
    home = second_core(at.gateway.home)
    async with (
        home.runs.running(),
        gateway_on(at.broker, at.hub, home, at.gateway.access, "gateway-2") as gateway,
    ):
        yield gateway


async def test_the_gateway_that_takes_it_over_tells_the_one_that_sends_to_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_rooms, "LOOK_AGAIN_S", 1_000.0)
    async with scene(tmp_path, BEN, ROBOT, SECOND, heard=False) as at, another(at) as heir:
        reply = await ended(at)
        heir.devices.gateways_changed(["gateway"])
        at.gateway.devices.gateways_changed(["gateway-2"])
        holder = next(one for one in (at.gateway, heir) if one.devices._is_mine("robot-1"))
        adopter = heir if holder is at.gateway else at.gateway
        at.device.status("ready", incarnation=1)
        await at.present()
        adopter.devices.taken(reply)
        await heard(at.device, "end", id=reply.stream_id)
    assert kinds(at) == ["accept", "chunk", "end"]


async def test_a_room_without_devices_needs_no_signals(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, heard=False) as at:
        at.gateway.devices.taken(await ended(at))
        at.members(BEN, ROBOT, SECOND)
        at.device.status("ready", incarnation=1)
        await at.present()
        await settled(at)
    assert [frame["type"] for frame in at.room_frames() if frame["type"] != "members"] == ["message"]
