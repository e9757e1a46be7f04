"""Devices behind a real Mosquitto send what is no chat. Each message is refused; nobody else notices."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.model_server import model_server
from tests.live.test_device_rooms import device_at
from tests.live.test_devices import mqtt
from tests.live.test_gateway import running_gateway

pytestmark = [pytest.mark.live, requires_mosquitto()]

MANY = b"x" * 1_000_000
LIMIT = "at most 262144 bytes"

REFUSED: dict[str, tuple[bytes, str | None, str, str]] = {
    "300 KB": (b'{"type":"chat","id":"a","text":"' + MANY[:300_000] + b'"}', "a", "too_large", LIMIT),
    "1 MB": (b'{"type":"chat","id":"b","text":"' + MANY + b'"}', "b", "too_large", LIMIT),
    "3 MB": (b'{"type":"chat","id":"c","text":"' + MANY * 3 + b'"}', "c", "too_large", LIMIT),
    "1 MB, id behind it": (b'{"type":"chat","text":"' + MANY + b'","id":"d"}', "d", "too_large", LIMIT),
    "1 MB of rubbish": (MANY, None, "too_large", LIMIT),
    "200 KB": (
        b'{"type":"chat","id":"e","text":"' + MANY[:200_000] + b'"}',
        "e",
        "invalid",
        "text must have at most 32000 characters, not 200000.",
    ),
    "no UTF-8": (b'{"type":"chat","id":"f","text":"\xff"}', "f", "invalid", "utf-8"),
    "a number as text": (b'{"type":"chat","id":"g","text":7}', "g", "invalid", "$.text"),
    "parts as text": (b'{"type":"chat","id":"h","text":[{"type":"text"}]}', "h", "invalid", "$.text"),
    "a number as id": (b'{"type":"chat","id":7,"text":"Hi"}', None, "invalid", "$.id"),
    "no id": (b'{"type":"chat","text":"Hi"}', None, "invalid", "`id`"),
    "no type": (b'{"id":"i","text":"Hi"}', "i", "invalid", "`type`"),
    "cut off": (b'{"type":"chat","id":"j","text":"Hi', "j", "invalid", "truncated"),
    "no JSON": (b"hello", None, "invalid", "JSON"),
}
"""Payload; id, code and a part of the message of the error."""


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_message_that_is_no_chat_is_refused_and_the_others_go_on(
    tmp_path: Path, protocol: str
) -> None:
    async with (
        asyncio.timeout(120),
        running_mosquitto() as broker,
        model_server() as model,
        running_gateway(
            tmp_path, LLM_SERVER_URL=model.url, **mqtt(broker.address, MQTT_PROTOCOL=protocol)
        ) as gateway,
        device_at(broker.address, "robot") as robot,
        device_at(broker.address, "sensor") as sensor,
    ):
        model.open_with(end=True)
        await gateway.until_ready()
        model.open_with("It is ")
        sensor.chat("s", "Is it warm?")
        await sensor.frame("chunk", id="s")
        for name, (payload, id, code, message) in REFUSED.items():
            robot.say("up", payload)
            error = await robot.frame("error", id=id, code=code)
            robot.heard.remove(error)
            assert message in error["message"], name
            assert error["retryable"] is False
        robot.say("up", b"")
        robot.say("up", json.dumps({"type": "of a later version", "id": "k"}))
        robot.say("cancel", b"rubbish")
        robot.say("status", b"rubbish")
        model.say("warm.")
        model.end()
        await sensor.frame("end", id="s", length=len("It is warm."))
        assert sensor.text(id="s") == "It is warm."
        robot.chat("marker", "")
        await robot.frame("error", id="marker")
        assert [frame["id"] for frame in robot.heard] == ["marker"]
        assert [frame["type"] for frame in sensor.heard if frame["type"] == "error"] == []
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert len(sessions) == 1
