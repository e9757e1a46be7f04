"""Devices made with paho are in a room with people and a model, behind a real Mosquitto."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.model_server import model_server
from tests.live.test_devices import mqtt
from tests.live.test_gateway import Gateway, running_gateway
from transports.mqtt.link.link import BrokerAddress

pytestmark = [pytest.mark.live, requires_mosquitto()]

DEVICES = "sluice/v1/devices"
ROOMS = "/api/chatbot/rooms"


class PahoDevice:
    """heard: frames on its `down`."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.heard: list[dict[str, Any]] = []
        self.ready = asyncio.Event()
        self._loop = loop
        self._news = asyncio.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv311)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.will_set(f"{DEVICES}/{name}/status", self._status("lost"), qos=1, retain=True)

    @staticmethod
    def _status(state: str) -> str:
        return json.dumps({"type": "status", "state": state, "incarnation": 1})

    def _on_connect(self, *_: Any) -> None:
        self.client.subscribe(f"{DEVICES}/{self.name}/down", qos=1)

    def _on_subscribe(self, *_: Any) -> None:
        self._loop.call_soon_threadsafe(self.ready.set)

    def _on_message(self, client: object, userdata: object, message: paho.MQTTMessage) -> None:
        self._loop.call_soon_threadsafe(self._hear, json.loads(message.payload))

    def _hear(self, frame: dict[str, Any]) -> None:
        self.heard.append(frame)
        self._news.set()

    def say(self, level: str, payload: str | bytes, *, retain: bool = False) -> None:
        self.client.publish(f"{DEVICES}/{self.name}/{level}", payload, qos=1, retain=retain)

    def chat(self, id: str, text: str, **more: object) -> None:
        self.say("up", json.dumps({"type": "chat", "id": id, "text": text, **more}))

    def status(self, state: str) -> None:
        self.say("status", self._status(state), retain=True)

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            self._news.clear()
            for frame in self.heard:
                if wanted(frame):
                    return frame
            await self._news.wait()

    async def frame(self, type: str, **fields: Any) -> dict[str, Any]:
        return await self.until(lambda frame: {"type": type, **fields}.items() <= frame.items())

    def text(self, **fields: Any) -> str:
        return "".join(
            frame["text"]
            for frame in self.heard
            if frame["type"] == "chunk" and fields.items() <= frame.items()
        )


@asynccontextmanager
async def device_at(address: BrokerAddress, name: str) -> AsyncIterator[PahoDevice]:
    device = PahoDevice(name, asyncio.get_running_loop())
    device.client.connect(address.host, address.port)
    device.client.loop_start()
    try:
        await device.ready.wait()
        device.status("ready")
        yield device
    finally:
        await asyncio.to_thread(device.client.loop_stop)


async def room_of(gateway: Gateway, *members: dict[str, str]) -> dict[str, Any]:
    made = await gateway.http.post(ROOMS, json={"title": "Kitchen", "members": [{"user": "ben"}, *members]})
    assert made.status_code in (200, 201), made.text
    room: dict[str, Any] = made.json()
    return room


async def test_two_devices_a_person_and_a_model_share_a_room(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_mosquitto() as broker,
        model_server() as model,
        running_gateway(tmp_path, LLM_SERVER_URL=model.url, **mqtt(broker.address)) as gateway,
        device_at(broker.address, "robot") as robot,
        device_at(broker.address, "sensor") as sensor,
    ):
        model.open_with("Rather ", "warm.", end=True)
        await gateway.until_ready()
        for device in (robot, sensor):  # any gateway has heard it once it answers
            device.chat("first", "", session="nowhere")
            await device.frame("error", id="first")
        room = await room_of(gateway, {"device": "robot"})
        key = room["key"]
        added = await gateway.http.post(f"{ROOMS}/{key}/members", json={"device": "sensor"})
        assert added.status_code == 200, added.text
        await robot.frame("presence", room=key, author={"kind": "device", "name": "sensor"}, status="online")

        sensor.chat("c1", "It is 20 °C", session=key)
        await sensor.frame("end", id="c1", length=0)
        said = await robot.frame("message", room=key, text="It is 20 °C")

        # A person asks over HTTP, in the session of the room.
        heard = await gateway.ask(content="Is it warm?", session_id=room["id"])
        stream_id = heard[0]["stream_id"]
        for device in (robot, sensor):
            question = await device.frame("message", room=key, text="Is it warm?")
            await device.frame("accept", room=key, id=stream_id, question=question["id"])
            await device.frame("end", room=key, id=stream_id, length=len("Rather warm."))
            assert device.text(room=key, id=stream_id) == "Rather warm."

        robot.chat("c2", "@model And now?", session=key)
        await robot.frame("end", id="c2", reason="stop")
        asked = await sensor.frame("message", room=key, text="@model And now?")
        accept = await sensor.frame("accept", room=key, question=asked["id"])
        await sensor.frame("end", room=key, id=accept["id"])
        assert robot.text(id="c2") == sensor.text(room=key, id=accept["id"]) == "Rather warm."

        removed = await gateway.http.delete(f"{ROOMS}/{key}/members", params={"device": "robot"})
        assert removed.status_code == 200
        before = len([frame for frame in robot.heard if "room" in frame])
        await sensor.frame("presence", author={"kind": "device", "name": "robot"}, status="offline")
        sensor.chat("c3", "Is it gone?", session=key)
        await sensor.frame("end", id="c3")
        robot.chat("marker", "", session=key)
        await robot.frame("error", id="marker")
        assert len([frame for frame in robot.heard if "room" in frame]) == before
        told = (await gateway.http.get(f"/api/chatbot/sessions/{room['id']}/messages")).json()
    assert said["author"] == {"kind": "device", "name": "sensor"}
    assert [
        (message["author"]["name"], message["content"]) for message in told if message["role"] == "user"
    ] == [
        ("sensor", "It is 20 °C"),
        ("local", "Is it warm?"),
        ("robot", "@model And now?"),
        ("sensor", "Is it gone?"),
    ]
    assert [message["status"] for message in told] == ["complete"] * 6


async def test_rubbish_loses_neither_the_device_nor_the_room(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    noise = random.Random(seed)
    async with (
        asyncio.timeout(120),
        running_mosquitto() as broker,
        model_server() as model,
        running_gateway(tmp_path, LLM_SERVER_URL=model.url, **mqtt(broker.address)) as gateway,
        device_at(broker.address, "robot") as robot,
    ):
        model.open_with("Yes", end=True)
        await gateway.until_ready()
        robot.chat("first", "", session="nowhere")
        await robot.frame("error", id="first")
        key = (await room_of(gateway, {"device": "robot"}))["key"]
        chat: dict[str, Any] = {"type": "chat", "text": "Hi", "session": key}
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"session": "local-ffffff"}, "not_found"),
            ({"session": "../../x"}, "not_found"),
            ({"session": 7}, "invalid"),
            ({"ask": 1}, "invalid"),
            ({"ask": "true"}, "invalid"),
            ({"text": None}, "invalid"),
            ({"text": "x" * 200_000}, "invalid"),
            ({"text": "\t"}, "invalid"),
        ]
        for number, (said, code) in enumerate(wrong):
            robot.say("up", json.dumps({**chat, "id": f"w{number}", **said}))
            error = await robot.frame("error", id=f"w{number}")
            assert error["code"] == code, (said, error)
        robot.say("up", json.dumps({**chat, "id": "large", "text": "x" * 1_000_000}))
        assert (await robot.frame("error", id="large"))["code"] == "too_large"
        for _ in range(50):
            robot.say("up", noise.randbytes(noise.randrange(200)))
        robot.say("up", json.dumps({**chat, "id": "still", "ask": False}))
        await robot.frame("end", id="still")
        told = (await gateway.http.get("/api/chatbot/sessions/1/messages")).json()
        healthy = await gateway.http.get("/health")
    assert [message["content"] for message in told] == ["Hi"], seed
    assert healthy.status_code == 200
