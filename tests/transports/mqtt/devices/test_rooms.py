"""Devices in rooms: they write into them and hear them, over a broker in memory."""

import asyncio
import json
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.authors import Author
from gateway.contract.events import Delta
from gateway.contract.rooms import Member
from gateway.core.device_chats import DeviceChats
from tests.core.house import USER
from tests.transports.mqtt.device_scene import MAX_CONTENT_CHARS, device_at, owners_of
from tests.transports.mqtt.devices.room_scene import (
    BEN,
    ROBOT,
    WATCHING,
    heard,
    scene,
)
from transports.scripted import Script, tokens


async def test_a_device_that_was_heard_hears_messages_and_replies_of_its_room(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        await at.post("Hello all")
        posted = await at.post("@model Hi", who=Author("user", "ben"))
        await heard(at.device, "end")
        frames = at.room_frames()
    first, second, accept, *chunks, end = frames
    key, stream = at.session.key, posted.stream_id
    assert first == {
        "type": "message",
        "room": key,
        "id": 1,
        "author": {"kind": "user", "name": USER},
        "text": "Hello all",
    }
    assert (second["text"], second["author"]["name"]) == ("@model Hi", "ben")
    assert accept == {"type": "accept", "room": key, "id": stream, "question": second["id"]}
    text = ""
    for chunk in chunks:
        assert (chunk["type"], chunk["id"], chunk["position"]) == ("chunk", stream, len(text))
        text += chunk["text"]
    assert end == {"type": "end", "room": key, "id": stream, "reason": "stop", "length": len(text)}
    assert text == "Hello"


async def test_a_member_device_writes_a_note_and_is_not_told_its_own(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        at.device.chat("c1", "It is 20 °C", session=at.session.key)
        await at.device.until("end", id="c1")
        await at.post("Thanks")
        await heard(at.device, "message", text="Thanks")
        assert at.device.kinds("c1") == ["accept", "end"]
        assert at.device.frames("c1")[0]["session"] == at.session.key
        assert at.device.frames("c1")[1]["length"] == 0
        assert [frame["text"] for frame in at.room_frames()] == ["Thanks"]
        assert await at.contents() == [("device:robot-1", "It is 20 °C"), (f"user:{USER}", "Thanks")]


async def test_a_whole_answer_to_a_note_is_an_empty_reply(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        at.device.chat("c1", "It is 20 °C", session=at.session.key, stream=False)
        reply = await at.device.until("reply", id="c1")
        assert (reply["text"], at.device.kinds("c1")) == ("", ["reply"])


@pytest.mark.parametrize(("members", "ask"), [((ROBOT,), None), ((BEN, ROBOT), True)])
async def test_a_device_that_asks_gets_the_reply_once_and_the_others_hear_it(
    tmp_path: Path, members: tuple[Member, ...], ask: bool | None
) -> None:
    other = Member("device", "robot-2")
    async with scene(tmp_path, *members, other, heard=False) as at:
        second = device_at(at.broker, "robot-2")
        for device in (at.device, second):
            device.status("ready", incarnation=1)
            await at.present(device.name)
        more = {} if ask is None else {"ask": ask}
        at.device.chat("c1", "Is it warm?", session=at.session.key, **more)
        await at.device.until("end", id="c1")
        await heard(second, "end")
        await at.post("Done", ask=False)
        await heard(at.device, "message")
        assert (at.device.kinds("c1"), at.device.text("c1")) == (["accept", "chunk", "end"], "Hello")
        assert [frame["text"] for frame in at.room_frames()] == ["Done"]
        assert [type for type, _ in groupby(at.room_frames(second), lambda frame: frame["type"])] == [
            *("message", "accept", "chunk", "end"),
            *(["message"] if "Done" in str(second.heard) else []),
        ]


async def test_a_chat_that_is_sent_again_is_one_message(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        for _ in range(2):
            at.device.chat("c1", "It is 20 °C", session=at.session.key)
        await at.device.until("end", id="c1")
        at.gateway.ingress._answers._answered.clear()  # as if the gateway had started anew
        at.device.chat("c1", "It is 20 °C", session=at.session.key)
        await at.device.until("end", id="c1", count=2)
        at.device.chat("c1", "It is 30 °C", session=at.session.key)
        error = await at.device.until("error", id="c1")
        assert error["code"] == "conflict"
        assert len(await at.contents()) == 1


async def test_a_device_may_stop_its_question_at_another_gateway(tmp_path: Path) -> None:
    held = asyncio.Event()
    script: Script = lambda _: [[Delta("Hel")], held.wait, *tokens("lo")]  # noqa: E731
    async with scene(tmp_path, BEN, ROBOT, script=script) as at:
        at.device.chat("c1", "@model Hi", session=at.session.key)
        await at.device.until("chunk", id="c1")
        stopped: list[tuple[str, str]] = []

        async def stop(stream_id: str, user_id: str) -> None:
            stopped.append((stream_id, user_id))

        home = at.gateway.home
        owners = owners_of(home)
        other = DeviceChats(home.conversations, home.runs, home.store, owners, max_content_chars=9, stop=stop)
        await other.stop("robot-1", "c1")
        _, reply = await home.store.messages(USER, at.session.id)
        assert stopped == [(reply.stream_id, USER)]
        held.set()
        await at.device.until("end", id="c1")


async def test_a_watcher_hears_and_may_not_write(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, WATCHING) as at:
        at.device.chat("c1", "Hi", session=at.session.key)
        assert (await at.device.until("error", id="c1"))["code"] == "forbidden"
        await at.post("Hello")
        await heard(at.device, "message", text="Hello")
        assert await at.contents() == [(f"user:{USER}", "Hello")]


async def test_rubbish_gets_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        store = at.gateway.home.store
        strangers = await store.create_session("eve", "")
        key = at.session.key
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"session": "nowhere"}, "not_found"),
            ({"session": strangers.key}, "not_found"),
            ({"session": key, "ask": "yes"}, "invalid"),
            ({"session": key, "text": 7}, "invalid"),
            ({"session": ["x"]}, "invalid"),
            ({"session": key, "text": "x" * (MAX_CONTENT_CHARS + 1)}, "invalid"),
            ({"session": key, "text": " "}, "invalid"),
            ({"session": "x" * 129}, "invalid"),
            ({"ask": False}, "invalid"),
        ]
        for number, (said, code) in enumerate(wrong):
            id = f"c{number}"
            at.device.say("up", {"type": "chat", "id": id, "text": "Hi", **said})
            assert (await at.device.until("error", id=id))["code"] == code, said
        up = "sluice/v1/devices/robot-1/up"
        for payload in (b"", b"{", b"[" * 100_000, b"\xff", json.dumps({"type": "chat"}).encode()):
            at.broker.publish(up, payload)
        at.device.chat("last", "Still there", session=key)
        await at.device.until("end", id="last")
        assert await at.contents() == [("device:robot-1", "Still there")]
