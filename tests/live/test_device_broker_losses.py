"""A real Mosquitto that is killed or frozen while a device hears its answer: no hole, one last word."""

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.live.brokers import Mosquitto, requires_mosquitto, running_mosquitto
from tests.live.house import House
from tests.live.model_server import ModelServer, model_server
from tests.live.test_devices import device_at, house_of
from tests.transports.mqtt.device_end import DeviceEnd

pytestmark = [pytest.mark.live, requires_mosquitto()]

LAST = {"end", "reply", "error"}


async def heard_rightly(robot: DeviceEnd, house: House, id: str = "c1") -> None:
    """Numbers without holes, one last word, a true length, and the text that is kept."""
    await robot.until(*LAST, id=id)
    await robot.until_taken()  # what was under way has come
    frames = robot.frames(id)
    (last,) = [frame for frame in frames if frame["type"] in LAST]
    assert frames[-1] is last
    numbers = [frame["seq"] for frame in frames if "seq" in frame and frame["type"] != "accept"]
    assert numbers == list(range(1, len(numbers) + 1))
    (kept,) = await house.messages()
    if last["type"] == "reply":
        assert last["text"] == kept["content"]
    else:
        assert robot.text(id) == kept["content"]
        assert last["length"] == len(kept["content"])
    assert "usage" not in last or last["usage"] is not None


async def many_words(model: ModelServer, robot: DeviceEnd, count: int = 10) -> None:
    """The device has heard some of the answer, and more is under way."""
    await robot.until("chunk")
    for number in range(count):
        model.say(f"word{number} ")
    await robot.until("chunk", count=2)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_broker_killed_in_mid_answer_while_the_model_goes_on(
    tmp_path: Path, protocol: Literal["5", "3.1.1"]
) -> None:
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        house_of(tmp_path, model, broker, MQTT_PROTOCOL=protocol, MQTT_COALESCE_S="0") as house,
        device_at(broker.address) as robot,
    ):
        robot.chat("c1", "Hi")
        await many_words(model, robot)
        await broker.kill()
        for number in range(40):
            model.say(f"unheard{number} ")
        await start_again(broker, robot)
        for number in range(40):
            model.say(f"late{number} ")
        model.end()
        await house.program.until_said("complete")
        await ask_until_told(robot)
        await heard_rightly(robot, house)


@pytest.mark.parametrize("end_while_frozen", [True, False])
async def test_a_broker_frozen_in_mid_answer_that_goes_on_where_it_froze(
    tmp_path: Path, end_while_frozen: bool
) -> None:
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        house_of(tmp_path, model, broker, MQTT_COALESCE_S="0") as house,
        device_at(broker.address) as robot,
    ):
        robot.chat("c1", "Hi")
        await many_words(model, robot)
        broker.freeze()
        for number in range(40):
            model.say(f"frozen{number} ")
        if end_while_frozen:
            model.end()
            await house.program.until_said("complete")
        broker.thaw()
        if not end_while_frozen:
            model.end()
        await heard_rightly(robot, house)


async def test_a_frozen_broker_that_is_killed_with_frames_in_it(tmp_path: Path) -> None:
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        house_of(tmp_path, model, broker, MQTT_COALESCE_S="0") as house,
        device_at(broker.address) as robot,
    ):
        robot.chat("c1", "Hi")
        await many_words(model, robot)
        broker.freeze()
        for number in range(40):
            model.say(f"frozen{number} ")
        model.end()
        await house.program.until_said("complete")
        await broker.kill()
        await start_again(broker, robot)
        await ask_until_told(robot)
        await heard_rightly(robot, house)


async def test_a_device_that_comes_back_hears_the_whole_and_nothing_twice(tmp_path: Path) -> None:
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        house_of(tmp_path, model, broker, MQTT_COALESCE_S="0") as house,
        device_at(broker.address) as robot,
    ):
        robot.status("ready")
        robot.chat("c1", "Hi")
        await many_words(model, robot)
        robot.status("lost")
        for number in range(40):
            model.say(f"away{number} ")
        robot.status("ready")
        model.end()
        await heard_rightly(robot, house)


async def start_again(broker: Mosquitto, robot: DeviceEnd) -> None:
    """Return when the device is on the broker again; the gateway comes in its own time."""
    connected = asyncio.Event()
    robot._link.watch(lambda up: connected.set() if up else None)
    await broker.start()
    await connected.wait()


async def ask_until_told(robot: DeviceEnd, id: str = "c1") -> dict[str, Any]:
    """As docs/mqtt.md has a device do that hears no end: ask again with the same id."""
    while True:
        robot.chat(id, "Hi")
        try:
            async with asyncio.timeout(120):
                return await robot.until(*LAST, id=id)
        except TimeoutError:
            continue
