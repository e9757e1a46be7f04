"""Simulated parts: their frames while they are played."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.errors import Conflict, UpstreamFailed
from gateway.contract.limits import Quota, StreamPlace
from gateway.contract.record import replace
from gateway.contract.simulators import HearFrame, PassedFrame, SimulatedPart
from tests.live.looking import look_again
from tests.web.gateway_server import Served, served, unified_events
from tests.web.key_holders import bearer, keys_of, make_key
from transports.scripted import tokens

SIMULATOR = "/api/admin/simulator"


class Parts:
    """Parts of a test. The device's question says how it ends; the worker ends when it is left."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.said: list[tuple[str, bool | None]] = []
        self.room: str | None = None

    def device(self, text: str) -> SimulatedPart:
        async def play(hear: HearFrame) -> None:
            hear(PassedFrame(True, "up", text.encode()))
            if text == "fail":
                raise UpstreamFailed("The broker does not let us.")
            hear(PassedFrame(False, "down", b"\xff"))

        return SimulatedPart("d", None, play)

    def member(self, room_key: str) -> SimulatedPart:
        async def play(_: HearFrame) -> None:
            self.room = room_key
            try:
                await asyncio.Event().wait()
            finally:
                self.room = None

        return SimulatedPart("d", None, play)

    def say(self, text: str, ask: bool | None = None) -> None:
        if self.room is None:
            raise Conflict("No simulated device is played in a room at this gateway.")
        self.said.append((text, ask))

    def worker(self) -> SimulatedPart:
        async def play(_: HearFrame) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()

        return SimulatedPart("w", "w", play)


def equip(gateway: Served) -> Parts:
    parts = Parts()
    object.__setattr__(gateway.assembled.gateway, "simulators", parts)
    return parts


async def frames(gateway: Served, body: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    async with gateway.http.stream("POST", SIMULATOR, json=body, headers=headers) as response:
        return [event async for event in unified_events(response)]


async def test_without_a_broker_it_says_what_is_missing(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        refused = await gateway.http.post(SIMULATOR, json={"part": "device"})
    assert refused.status_code == httpx.codes.CONFLICT
    assert "MQTT_BROKER_HOST" in refused.json()["detail"]


async def test_a_device_ends_with_its_answer_or_its_failure(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        equip(gateway)
        answered = await frames(gateway, {"part": "device", "text": "Hi"})
        failed = await frames(gateway, {"part": "device", "text": "fail"})
    assert answered == [
        {"type": "started", "name": "d", "model": None},
        {"type": "frame", "sent": True, "topic": "up", "payload": "Hi"},
        {"type": "frame", "sent": False, "topic": "down", "payload": "\ufffd"},
        {"type": "ended", "reason": "answered", "message": ""},
    ]
    assert failed[-1] == {"type": "ended", "reason": "failed", "message": "The broker does not let us."}


async def test_a_worker_ends_when_its_watcher_leaves_and_is_there_once(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        parts = equip(gateway)
        async with gateway.http.stream("POST", SIMULATOR, json={"part": "worker"}) as response:
            events = unified_events(response)  # kept: its end closes the response
            assert (await anext(events))["type"] == "started"
            again = await gateway.http.post(SIMULATOR, json={"part": "worker"})
            assert again.status_code == httpx.codes.CONFLICT
            assert not parts.left.is_set()
        await parts.left.wait()


class OnePlace:
    """Places of another server, such as Redis: the first one is given when `given` is set."""

    def __init__(self) -> None:
        self.asked, self.given = asyncio.Event(), asyncio.Event()

    async def take(self, _quota: Quota) -> StreamPlace:
        assert not self.asked.is_set(), "the part is played once"
        self.asked.set()
        await self.given.wait()
        return StreamPlace(lambda _: None, "")


async def test_a_part_is_there_once_also_while_its_place_is_counted_elsewhere(tmp_path: Path) -> None:
    async with asyncio.timeout(30), served(tmp_path, lambda _: tokens("x")) as gateway:
        equip(gateway)
        places = OnePlace()
        object.__setattr__(gateway.assembled.gateway, "listeners", places)
        admin = bearer(await make_key(gateway, "anna", frozenset({"admin"})))
        device = {"part": "device", "text": "Hi"}
        first = asyncio.ensure_future(frames(gateway, device, **admin))
        await places.asked.wait()
        again = await gateway.http.post(SIMULATOR, json=device, headers=admin)
        places.given.set()
        assert (await first)[-1]["reason"] == "answered"
    assert again.status_code == httpx.codes.CONFLICT


async def test_with_keys_the_device_is_registered_for_its_watcher_meanwhile(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        parts = equip(gateway)
        admin = await make_key(gateway, "anna", frozenset({"admin"}))
        chat = await make_key(gateway, "ben")
        owners: list[str] = []

        def device(text: str) -> SimulatedPart:
            async def play(_: HearFrame) -> None:
                owners.extend(device.user_id for device in await keys_of(gateway).devices())

            return replace(Parts.device(parts, text), play=play)

        parts.device = device  # type: ignore[method-assign]
        refused = await gateway.http.post(SIMULATOR, json={"part": "device"}, headers=bearer(chat))
        await frames(gateway, {"part": "device"}, **bearer(admin))
        while await keys_of(gateway).devices():  # the stream ends a moment before
            await look_again()
    assert refused.status_code == httpx.codes.FORBIDDEN
    assert owners == ["anna"]


@pytest.mark.parametrize("stays", [False, True])
async def test_a_device_in_a_room_is_its_member_meanwhile_and_says_what_it_is_given(
    tmp_path: Path, stays: bool
) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        parts = equip(gateway)
        members = [{"device": "d"}] if stays else []
        room = (await gateway.http.post("/api/chatbot/rooms", json={"members": members})).json()
        owner, path = room["members"][0], f"/api/chatbot/rooms/{room['uuid']}"
        device = {"kind": "device", "name": "d", "role": "member"}
        body = {"part": "device", "room": room["uuid"]}
        async with gateway.http.stream("POST", SIMULATOR, json=body) as response:
            events = unified_events(response)
            assert (await anext(events))["type"] == "started"
            assert (await gateway.http.get(path)).json()["members"] == [owner, device]
            assert parts.room == room["key"]
            said = await gateway.http.post(f"{SIMULATOR}/say", json={"text": "Hi", "ask": False})
            empty = await gateway.http.post(f"{SIMULATOR}/say", json={"text": ""})
        assert (said.status_code, empty.status_code) == (204, 422)
        assert parts.said == [("Hi", False)]
        while (await gateway.http.post(SIMULATOR, json={**body, "room": "unknown"})).status_code == 409:
            await look_again()  # until the device has left
        expected = [owner, device] if stays else [owner]
        while (await gateway.http.get(path)).json()["members"] != expected:
            await look_again()
        refused = await gateway.http.post(f"{SIMULATOR}/say", json={"text": "Hi"})
    assert refused.status_code == httpx.codes.CONFLICT


async def test_a_device_is_played_in_no_room_of_others(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        parts = equip(gateway)
        anna = await make_key(gateway, "anna")
        admin = await make_key(gateway, "eve", frozenset({"admin", "chat"}))
        room = (await gateway.http.post("/api/chatbot/rooms", json={}, headers=bearer(anna))).json()
        body = {"part": "device", "room": room["uuid"]}
        refused = await gateway.http.post(SIMULATOR, json=body, headers=bearer(admin))
    assert (refused.status_code, parts.room) == (httpx.codes.NOT_FOUND, None)
