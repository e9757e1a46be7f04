"""Devices in rooms: events that were lost, cut or not taken by the broker."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.content import Content, Image, Text, without_attachments
from gateway.contract.events import Delta
from gateway.contract.room_events import MessagePosted, RoomEvent
from tests.core.house import USER
from tests.core.room_house import Ear
from tests.transports.mqtt.devices.room_scene import (
    BEN,
    LOCAL,
    ROBOT,
    Scene,
    heard,
    scene,
)
from transports.mqtt.devices.bounded_sender import MAX_UNANSWERED
from transports.mqtt.protocol.room_frames import MAX_TEXT
from transports.scripted import Script, tokens


async def test_lost_events_are_made_up_for(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        await at.post("One")
        await heard(at.device, "message", text="One")
        at.gateway.home.news.close_all()
        await at.post("Two")
        await heard(at.device, "message", text="Two")
        await at.post("Three")
        await heard(at.device, "message", text="Three")
        assert [frame["text"] for frame in at.room_frames()] == ["One", "Two", "Three"]


async def test_a_reply_that_ended_while_events_were_lost_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, ended = asyncio.Event(), asyncio.Event()
    script: Script = lambda _: [[Delta("Hel")], held.wait, *tokens("lo")]  # noqa: E731
    async with scene(tmp_path, BEN, ROBOT, script=script) as at:
        posted = await at.post("@model Hi")
        await heard(at.device, "chunk")
        await at.post("Meanwhile")
        await heard(at.device, "message", text="Meanwhile")
        join = at.gateway.hall.join

        async def late(*args: Any, **more: Any) -> Any:
            await ended.wait()
            return await join(*args, **more)

        monkeypatch.setattr(at.gateway.hall, "join", late)
        run = at.gateway.home.runs.find(str(posted.stream_id), USER)
        at.gateway.home.news.close_all()
        held.set()
        await run.ended.wait()
        ended.set()
        await heard(at.device, "message", text="Hello")
        await at.post("Thanks")
        await heard(at.device, "message", text="Thanks")
        texts = [frame["text"] for frame in at.room_frames() if frame["type"] == "message"]
    assert texts == ["@model Hi", "Meanwhile", "Hello", "Thanks"]


async def test_long_texts_are_cut_and_attachments_are_counted(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        half = "\ud83d"
        at.gateway.ingress.tell("robot-1", _event(at, "🙂" * (MAX_TEXT + 1) + half))
        at.gateway.ingress.tell("robot-1", _event(at, half))
        cut = await heard(at.device, "message", length=MAX_TEXT + 2)
        assert cut["text"] == "🙂" * MAX_TEXT
        await heard(at.device, "message", text="\ufffd")
        pictures = (Text("Look"), Image("image/png", "AAAA"), Image("image/png", "AAAA"))
        for content in (pictures, without_attachments(pictures)):
            at.gateway.ingress.tell("robot-1", _event(at, content))
        await at.post("That is all")
        await heard(at.device, "message", text="That is all")
        counts = [frame.get("attachments") for frame in at.room_frames() if frame["text"] == "Look"]
        assert counts == [2, 2]


def _event(at: Scene, content: Content) -> RoomEvent:
    what = MessagePosted(1, "u", LOCAL, "user", content, datetime(2026, 1, 31, tzinfo=UTC))
    return RoomEvent(at.session.id, at.session.key, what)


async def test_a_broker_that_takes_nothing_costs_frames_and_never_the_room(tmp_path: Path) -> None:
    async with scene(tmp_path, BEN, ROBOT) as at:
        at.gateway.link.stuck = True
        for number in range(2 * MAX_UNANSWERED):
            await at.post(str(number))
        ear = Ear()
        await at.gateway.hall.join(USER, LOCAL, at.session, ear, after=0)
        await ear.until(lambda: len(ear.events) >= 2 * MAX_UNANSWERED)
        assert at.gateway.ingress.dropped["frame of a room"] >= MAX_UNANSWERED
        assert len(await at.contents()) == 2 * MAX_UNANSWERED
