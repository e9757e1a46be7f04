"""Real gateways that are killed while they answer a device, and a model server that keeps streams."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.live.brokers import Mosquitto, requires_mosquitto, running_mosquitto
from tests.live.house import House
from tests.live.keeping_model import KeepingModel, keeping_model
from tests.live.test_devices import device_at, mqtt
from tests.live.test_gateway import running_gateway
from tests.store.postgres import PostgresServer, requires_postgres

pytestmark = [pytest.mark.live, requires_mosquitto()]


@asynccontextmanager
async def gateway_at(
    tmp_path: Path, broker: Mosquitto, model: KeepingModel, name: str = "gateway", **settings: str
) -> AsyncIterator[House]:
    settings = {"LLM_SERVER_URL": model.url, **mqtt(broker.address, name), **settings}
    async with running_gateway(tmp_path, **settings) as gateway, House(gateway) as house:
        await gateway.until_ready()
        yield house


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_the_next_start_sends_the_whole_text_once(tmp_path: Path, number: signal.Signals) -> None:
    async with asyncio.timeout(120), running_mosquitto() as broker, keeping_model() as model:
        first = gateway_at(tmp_path, broker, model, DRAIN_S="0.1")
        async with first as house, device_at(broker.address) as robot:
            robot.chat("c1", "Hi")
            await robot.until("chunk")
            await house.program.end(number)
            model.say("two ")
            async with gateway_at(tmp_path, broker, model) as house:
                model.end()
                reply = await robot.until("reply", "end", "error")
                robot.chat("c1", "Hi")
                await robot.until_taken()
                (row,) = await house.messages()
                assert house.said_no_errors()
    assert (reply["type"], reply["text"], reply["reason"]) == ("reply", "one two ", "stop")
    assert [kind for kind in robot.kinds("c1") if kind != "alive"] == ["accept", "chunk", "reply"]
    assert (row["status"], row["content"]) == ("complete", "one two ")
    assert (model.asked["POST /v1/chat/completions"], model.asked["DELETE /v1/stream"]) == (1, 0)


async def test_the_answer_in_a_room_is_sent_by_the_next_start_too(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_mosquitto() as broker,
        keeping_model() as model,
        gateway_at(tmp_path, broker, model) as house,
        device_at(broker.address) as robot,
    ):
        await robot.until_taken()
        members = [{"user": "ben"}, {"device": robot.name}]
        room = (await house.http.post("/api/chatbot/rooms", json={"members": members})).json()
        robot.chat("c1", "@model Hi", session=room["key"])
        await robot.until("chunk", id="c1")
        await house.program.end(signal.SIGKILL)
        model.say("two ")
        async with gateway_at(tmp_path, broker, model) as second:
            model.end()
            reply = await robot.until("reply", "end", "error", id="c1")
            (row,) = await second.messages()
    assert (reply["type"], reply["text"]) == ("reply", "one two ")
    assert (row["status"], row["content"]) == ("complete", "one two ")


@pytest.mark.parametrize("forget", [False, True])
async def test_the_other_devices_of_a_room_get_the_end_too(tmp_path: Path, forget: bool) -> None:
    async with (
        asyncio.timeout(120),
        running_mosquitto() as broker,
        keeping_model() as model,
        gateway_at(tmp_path, broker, model) as house,
        device_at(broker.address) as robot,
        device_at(broker.address, name="robot-2") as sensor,
    ):
        for device in (robot, sensor):
            device.status("ready", incarnation=1)
            await device.until_taken()
        members = [{"user": "ben"}, {"device": robot.name}, {"device": sensor.name}]
        room = (await house.http.post("/api/chatbot/rooms", json={"members": members})).json()
        robot.chat("c1", "@model Hi", session=room["key"])
        await robot.until("chunk", id="c1")
        await sensor.until("chunk")
        await house.program.end(signal.SIGKILL)
        sensor.heard.clear()
        if forget:
            await model.down(forget=True)
            await model.up()
        else:
            model.end()
        async with gateway_at(tmp_path, broker, model, ADOPT_S="1") as second:
            await robot.until("reply", "end", "error", id="c1")
            end = await sensor.until("end", "error")
            (row,) = await second.messages()
            sensor.chat("c2", "Bye", session=room["key"], ask=False)
            await sensor.until("end", id="c2")
            await robot.until("message")
    assert (end["type"], row["status"]) == (("error", "interrupted") if forget else ("end", "complete"))
    ends = [frame for frame in sensor.heard if frame["type"] in ("end", "error") and "room" in frame]
    assert (ends, end["length"]) == ([end], len(row["content"]))
    assert {frame["type"] for frame in robot.heard if "room" in frame} <= {"message", "presence", "members"}


@requires_postgres()
async def test_another_gateway_sends_it(tmp_path: Path, postgres: PostgresServer) -> None:
    url = {"DATABASE_URL": postgres.emptied()}
    async with (
        asyncio.timeout(120),
        running_mosquitto() as broker,
        keeping_model() as model,
        gateway_at(tmp_path, broker, model, "a", **url) as first,
        device_at(broker.address, "a") as robot,
    ):
        robot.chat("c1", "Hi")
        await robot.until("chunk")
        async with gateway_at(tmp_path, broker, model, "b", **url) as second:
            await first.program.end(signal.SIGKILL)
            model.say("two ")
            model.end()
            reply = await robot.until("reply", "end", "error")
            (row,) = await second.messages()
            assert second.said_no_errors()
    assert (reply["type"], reply["text"]) == ("reply", "one two ")
    assert [kind for kind in robot.kinds("c1") if kind != "alive"] == ["accept", "chunk", "reply"]
    assert (row["status"], model.asked["DELETE /v1/stream"]) == ("complete", 0)
