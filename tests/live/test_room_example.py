"""The example of a sensor in a room, with a real broker, a real gateway, a person and a model."""

import signal
import sys
from asyncio import timeout
from pathlib import Path

import pytest

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.model_server import model_server
from tests.live.programs import ROOT, Program, running_program
from tests.live.test_device_rooms import ROOMS
from tests.live.test_devices import mqtt
from tests.live.test_gateway import running_gateway
from tests.web.rooms.members import plain

pytestmark = [pytest.mark.live, requires_mosquitto()]

SENSOR = ROOT / "deploy/examples/room_sensor.py"


def read(sensor: Program, degrees: float) -> None:
    """Give the sensor a reading."""
    assert sensor.process.stdin is not None
    sensor.process.stdin.write(f"{degrees}\n".encode())


async def test_a_sensor_says_its_readings_asks_the_model_and_hears_the_others(tmp_path: Path) -> None:
    async with (
        timeout(120),
        running_mosquitto() as broker,
        model_server() as model,
        running_gateway(tmp_path, LLM_SERVER_URL=model.url, **mqtt(broker.address)) as gateway,
    ):
        model.open_with("Rather ", "hot.", end=True)
        await gateway.until_ready()
        members = [{"user": "ben"}, {"device": "boiler"}]
        key = (await gateway.http.post(ROOMS, json={"members": members})).json()["key"]
        url = str(gateway.http.base_url).rstrip("/")
        address = f"{broker.address.host}:{broker.address.port}"
        async with (
            plain(url, {"userId": "anna"}) as anna,
            running_program(sys.executable, str(SENSOR), "boiler", address, key) as sensor,
        ):
            await anna.done("room:join", {"roomId": key})
            read(sensor, 20)
            assert (await anna.until("message:new"))[1]["content"] == "It is 20 °C."
            read(sensor, 71)
            assert (await anna.until("message:new"))[1]["content"] == "It is 71 °C. Is that too hot?"
            assert await anna.reply() == "Rather hot."
            await sensor.until_said("the model to me: Rather hot.\n")

            await anna.done("message:send", {"content": "I am coming."})
            await sensor.until_said("anna: I am coming.\n")
            model.open_with("Take ", "gloves.", end=True)
            await anna.done("message:send", {"content": "What do I need, @model?"})
            await sensor.until_said("the model: Take gloves.\n")
            assert sensor.process.stdin is not None
            sensor.process.stdin.close()
            assert await sensor.ended() == 0
            left = {"roomId": key, "userId": "boiler", "author": {"kind": "device", "name": "boiler"}}
            assert await anna.until("room:leave") == ("room:leave", left)
        assert "dropped" not in sensor.said
        assert sensor.said.count("\n") == 4, sensor.said


async def test_a_sensor_that_is_no_member_says_so_and_a_killed_gateway_loses_no_reading(
    tmp_path: Path,
) -> None:
    async with timeout(120), running_mosquitto() as broker, model_server() as model:
        settings = {"LLM_SERVER_URL": model.url, **mqtt(broker.address)}
        address = f"{broker.address.host}:{broker.address.port}"
        async with running_gateway(tmp_path, **settings) as gateway:
            room = (await gateway.http.post(ROOMS, json={"members": [{"user": "ben"}]})).json()
            command = [sys.executable, str(SENSOR), "boiler", address]
            async with running_program(*command, "nowhere") as sensor:
                read(sensor, 20)
                await sensor.until_said("refused: not_found")
            added = {"device": "boiler"}
            assert (await gateway.http.post(f"{ROOMS}/{room['key']}/members", json=added)).is_success
            await gateway.program.end(signal.SIGKILL)
        async with running_program(*command, room["key"]) as sensor:
            read(sensor, 21)
            async with running_gateway(tmp_path, **settings) as gateway:
                assert sensor.process.stdin is not None
                sensor.process.stdin.close()
                assert await sensor.ended() == 0
                path = f"/api/chatbot/sessions/{room['id']}/messages"
                told = (await gateway.http.get(path)).json()
    assert [message["content"] for message in told] == ["It is 21 °C."]
