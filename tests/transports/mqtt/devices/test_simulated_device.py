"""The simulated device, which asks one question and hears what comes on its topic."""

import asyncio
import json

import pytest

from tests.transports.mqtt.memory_link import MemoryBroker
from transports.mqtt.simulators.parts import MqttSimulators

NAME = "gw-simulated-device"


async def test_it_waits_for_its_answer_whatever_a_room_says_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, ids, heard = MemoryBroker(), asyncio.Queue[str](), list[bytes]()
    office = broker.link("gw")
    office.subscribe(f"t/devices/{NAME}/up", lambda _, told, __: ids.put_nowait(json.loads(told)["id"]))
    part = MqttSimulators(broker.link, gateway="gw", root="t").device("Hi")
    async with asyncio.timeout(5), office.running():
        playing = asyncio.ensure_future(part.play(lambda frame: heard.append(frame.payload)))
        asked = await ids.get()
        for frame in (
            {"type": "message", "id": 7},
            {"type": "error", "id": None},
            {"type": "end", "id": asked},
        ):
            broker.publish(f"t/devices/{NAME}/down", json.dumps(frame).encode())
        await playing
    assert not [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
