"""A real Mosquitto that takes less than MQTT_MAX_PAYLOAD: nobody is cut off it, everybody is told."""

from pathlib import Path
from typing import Literal

import pytest

from gateway.contract.errors import TooLarge
from tests.live.brokers import OPEN_SETTINGS, requires_mosquitto, running_mosquitto
from tests.live.hand_worker import HandWorker
from tests.live.model_server import model_server
from tests.live.mqtt_house import ending, known, mqtt_gateway, serves
from tests.live.test_devices import device_at, house_of
from tests.live.test_mqtt_link import States
from transports.mqtt.link.aiomqtt_link import AiomqttLink

pytestmark = [pytest.mark.live, requires_mosquitto()]

SMALL = f"{OPEN_SETTINGS}max_packet_size 16384\n"
ROOMY = {"MAX_CONTENT_CHARS": "100000"}


async def test_a_question_that_the_broker_does_not_take_is_413_and_nothing_is_saved(tmp_path: Path) -> None:
    async with (
        running_mosquitto(SMALL) as broker,
        mqtt_gateway(tmp_path, broker, **ROOMY) as house,
        HandWorker(broker).running() as honest,
    ):
        await known(house, "honest")
        refused = await house.http.post("/messages/stream", json={"content": "x" * 20_000})
        assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
        assert "new session" in refused.text
        assert await house.messages() == []
        await serves(house, honest)


async def test_on_3_1_1_a_long_question_costs_the_connection_twice_and_then_it_is_413(tmp_path: Path) -> None:
    async with (
        running_mosquitto(SMALL) as broker,
        mqtt_gateway(tmp_path, broker, MQTT_PROTOCOL="3.1.1", **ROOMY) as house,
        HandWorker(broker).running() as honest,
    ):
        await known(house, "honest")
        reader = await house.client.ask("x" * 20_000)
        assert (await ending(house, reader))[::2] == ("error", "too_large")
        await known(house, "honest")
        refused = await house.http.post("/messages/stream", json={"content": "x" * 20_000})
        assert refused.status_code == 413
        await house.program.until_said("(?s)lost the MQTT broker.*lost the MQTT broker")
        await serves(house, honest)


async def test_a_devices_long_answer_is_cut_into_what_the_broker_takes(tmp_path: Path) -> None:
    async with (
        running_mosquitto(SMALL) as broker,
        model_server() as model,
        house_of(tmp_path, model, broker),
        device_at(broker.address) as robot,
    ):
        model.open_with("x" * 40_000, end=True)
        robot.chat("c1", "Hi", stream=False)
        end = await robot.until("end", "reply", "error")
        assert (end["type"], end["length"], len(robot.text())) == ("end", 40_000, 40_000)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_status_that_the_broker_does_not_take_does_not_cost_the_connection_for_ever(
    protocol: Literal["5", "3.1.1"],
) -> None:
    async with running_mosquitto(SMALL) as broker:
        address = broker.address.__class__("127.0.0.1", broker.address.port, protocol=protocol)
        link = AiomqttLink(address, client_id="worker")
        states = States(link)
        async with link.running():
            for _ in range(3):
                await states.until(True)
                try:
                    link.publish("status", b"x" * 20_000, retain=True)
                except TooLarge:
                    break
                await states.until(False)
            else:
                pytest.fail("it was sent a third time")
