"""A device of another user can neither detect, hear nor change a room, by any message of a device.

Two devices of a stranger send the same: one names the room, the other a session that does not exist.
"""

import json
from pathlib import Path
from typing import Any

from tests.core.house import USER
from tests.core.room_house import Ear
from tests.transports.mqtt.device_end import DeviceEnd
from tests.transports.mqtt.device_scene import device_at
from tests.transports.mqtt.devices.room_scene import BEN, LOCAL, ROBOT, heard, scene

CHATS: list[dict[str, Any]] = [
    {},
    {"ask": True},
    {"ask": False},
    {"stream": False},
    {"text": ""},
    {"text": 7},
    {"room": "SESSION"},
]
"""Fields of a chat that names a session. Each is refused."""

LEVELS = {"up", "cancel", "status"}


async def say_everything(device: DeviceEnd, session: str, ids: list[str]) -> None:
    """Send every kind of message. ids: of chats that may be another device's."""
    device.status("ready", incarnation=1)
    for number, more in enumerate(CHATS):
        id = f"c{number}"
        said: dict[str, Any] = {"type": "chat", "id": id, "text": "Hi", "session": session, **more}
        device.say("up", {key: session if value == "SESSION" else value for key, value in said.items()})
        await device.until("error", id=id)
    device.say("up", {"type": "message", "id": "m", "text": "Hi", "room": session})
    for id in ids:
        device.cancel(id)
    device.say("cancel", {"type": "cancel", "id": "x", "session": session, "room": session})
    device.status("ready", incarnation=1, session=session, room=session)
    await device.until_taken()


async def test_a_device_of_a_stranger_is_answered_as_for_no_session(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        subscribed = {topic_filter[1] for topic_filter in at.gateway.link._routes}
        assert {suffix.strip("/") for suffix in subscribed} == LEVELS
        strangers = [device_at(at.broker, name) for name in ("eves-1", "eves-2")]
        for device in strangers:
            await at.gateway.home.store.add_device(device.name, "eve")  # type: ignore[attr-defined]
        at.device.chat("robots", "It is 20 °C", session=at.session.key)
        await at.device.until("end", id="robots")
        ear = Ear()
        await at.gateway.hall.join(USER, LOCAL, at.session, ear)
        before = await at.contents()

        for device, session in zip(strangers, (at.session.key, "local-000000"), strict=True):
            await say_everything(device, session, ["robots"])
        await at.gateway.ingress.idle()
        assert await at.contents() == before
        assert ear.events == []

        posted = await at.post("@model Hi")
        await heard(at.device, "end", id=posted.stream_id)
        for device in strangers:
            await device.until_taken()
        told = [[json.dumps(frame) for frame in device.heard] for device in strangers]
        assert told[0] == told[1]
        assert {frame["code"] for frame in strangers[0].heard} == {"not_found", "invalid"}


async def test_a_member_device_that_now_belongs_to_a_stranger_is_one(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        await at.gateway.home.store.add_device("robot-1", "eve")  # type: ignore[attr-defined]
        at.device.chat("c1", "Hi", session=at.session.key)
        assert (await at.device.until("error", id="c1"))["code"] == "not_found"
        assert await at.contents() == []
