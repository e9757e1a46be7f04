"""Devices behind a real Mosquitto talk to a real gateway process, in both modes."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from gateway.contract.record import replace
from tests.live.brokers import Mosquitto, requires_mosquitto, running_mosquitto
from tests.live.house import House, gateway_of
from tests.live.llama_server import requires_llama, running_llama
from tests.live.model_server import ModelServer, model_server
from tests.live.nursery import forked_sluice
from tests.live.test_gateway import Gateway, running_gateway
from tests.transports.mqtt.device_end import DeviceEnd
from transports.llama.embedded_server import tiny_model_path
from transports.llama.transport import LlamaTransport
from transports.mqtt.embedded_broker import embedded_broker
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress
from transports.mqtt.protocol.frame_codec import decode_status
from transports.mqtt.protocol.topics import every_gateway_status, status_sender
from transports.mqtt.worker.worker import Worker

pytestmark = [pytest.mark.live, requires_mosquitto(), requires_llama()]

QUESTION = "Tell me about the river."


@asynccontextmanager
async def device_at(
    address: BrokerAddress, *gateways: str, name: str = "robot-1"
) -> AsyncIterator[DeviceEnd]:
    """A device that is connected, and has seen that these gateways are too."""
    link = AiomqttLink(address, client_id=name)
    missing = set(gateways or {"gateway"})
    complete = asyncio.Event()

    def hear_gateway(topic: str, payload: bytes, retained: bool) -> None:
        if decode_status(payload).state == "ready":
            missing.discard(status_sender(topic))
        see(link.connected)

    def see(connected: bool) -> None:
        """A broker may send a message before it grants the subscription."""
        if connected and not missing:
            complete.set()

    link.subscribe(every_gateway_status("sluice/v1"), hear_gateway)
    link.watch(see)
    device = DeviceEnd(link)
    async with link.running(), asyncio.timeout(120):
        await complete.wait()
        yield device


def mqtt(address: BrokerAddress, name: str = "gateway", **settings: str) -> dict[str, str]:
    return {
        "MQTT_BROKER_HOST": address.host,
        "MQTT_BROKER_PORT": str(address.port),
        "GATEWAY_NAME": name,
        **settings,
    }


@asynccontextmanager
async def house_of(
    tmp_path: Path, model: ModelServer, broker: Mosquitto, **settings: str
) -> AsyncIterator[House]:
    async with gateway_of(tmp_path, model.url, **mqtt(broker.address, **settings)) as house:
        yield house


async def kept(gateway: Gateway, session_key: str) -> list[dict[str, Any]]:
    sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    (session,) = [session for session in sessions if session["key"] == session_key]
    told = await gateway.http.get(f"/api/chatbot/sessions/{session['id']}/messages")
    messages: list[dict[str, Any]] = told.json()
    return messages


@pytest.mark.parametrize("mode", ["sse", "mqtt"])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_device_chats_with_llama_cpp_in_either_mode(
    tmp_path: Path, mode: str, protocol: Literal["5", "3.1.1"]
) -> None:
    async with (
        running_mosquitto() as broker,
        running_llama(tiny_model_path(), "--parallel", "2") as llama,
        running_gateway(
            tmp_path,
            LLM_SERVER_URL=llama.url,
            LLM_COMM_MODE=mode,
            MQTT_PROTOCOL=protocol,
            **mqtt(broker.address),
        ) as gateway,
        Worker(LlamaTransport(llama.url), AiomqttLink(broker.address, client_id="worker")).running(),
        device_at(replace(broker.address, protocol=protocol)) as robot,
    ):
        await gateway.until_ready()
        robot.chat("c1", QUESTION)
        end = await robot.until("end")
        robot.chat("c2", "And then?", stream=False)
        reply = await robot.until("reply")
        told = await kept(gateway, robot.heard[0]["session"])
    assert [message["content"] for message in told] == [
        QUESTION,
        robot.text("c1"),
        "And then?",
        reply["text"],
    ]
    assert (told[1]["mode"], told[1]["status"], told[1]["reason"]) == (mode, "complete", "stop")
    assert (end["reason"], end["length"]) == ("stop", len(robot.text("c1")))
    assert end["usage"]["completion_tokens"] > 0
    assert robot.types("c2") == ["reply"]
    seqs = [frame["seq"] for frame in robot.frames("c1")]
    assert seqs == list(range(len(seqs)))


async def test_a_device_chats_over_the_broker_in_python(tmp_path: Path) -> None:
    async with (
        embedded_broker(force="amqtt") as broker,
        model_server() as model,
        running_gateway(tmp_path, LLM_SERVER_URL=model.url, **mqtt(broker.address)),
        device_at(broker.address) as robot,
    ):
        model.open_with("one ", "two", end=True)
        robot.chat("c1", "Hi")
        await robot.until("end")
    assert robot.text() == "one two"


async def test_of_two_gateways_exactly_one_answers(tmp_path: Path) -> None:
    chats = 20
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        running_gateway(make(tmp_path, "a"), LLM_SERVER_URL=model.url, **mqtt(broker.address, "a")) as one,
        running_gateway(make(tmp_path, "b"), LLM_SERVER_URL=model.url, **mqtt(broker.address, "b")) as two,
        device_at(broker.address, "a", "b") as robot,
    ):
        model.open_with("yes", end=True)
        for number in range(chats):
            robot.chat(f"c{number}", "Hi")
            await robot.until("end", id=f"c{number}")
        sessions = [len((await gateway.http.get("/api/chatbot/sessions")).json()) for gateway in (one, two)]
    assert robot.types() == ["accept", "chunk", "end"] * chats
    assert sessions == [1, 1]  # both had their share


async def test_a_cancel_reaches_the_gateway_that_has_the_run(tmp_path: Path) -> None:
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        running_gateway(make(tmp_path, "a"), LLM_SERVER_URL=model.url, **mqtt(broker.address, "a")),
        running_gateway(make(tmp_path, "b"), LLM_SERVER_URL=model.url, **mqtt(broker.address, "b")),
        device_at(broker.address, "a", "b") as robot,
    ):
        for id in ("c1", "c2", "c3", "c4"):
            robot.chat(id, "Hi")
            await robot.until("chunk", id=id)
            robot.cancel(id)
            robot.cancel(id)
            end = await robot.until("end", id=id)
            assert (end["reason"], robot.text(id)) == ("user_stop", "one ")
        await model.all_gone()


async def test_a_device_that_vanishes_ends_its_reply_and_one_that_returns_hears_the_whole(
    tmp_path: Path,
) -> None:
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        house_of(tmp_path, model, broker, RESUME_GRACE_S="1") as house,
        device_at(broker.address) as robot,
    ):
        robot.status("ready")
        robot.chat("c1", "Hi")
        await robot.until("chunk")
        robot.status("lost")
        await model.all_gone()
        await house.program.until_said("abandoned")  # it is stored
        (message,) = await house.messages()
        assert (message["status"], message["reason"], message["content"]) == (
            "cancelled",
            "abandoned",
            "one ",
        )
        robot.status("ready")
        robot.chat("c2", "Hi")
        await robot.until("chunk", id="c2")
        robot.status("lost")
        robot.status("ready")
        await robot.until_taken()  # the model's words do not overtake the status
        model.say("two")
        model.end()
        reply = await robot.until("reply")
    assert (robot.kinds("c2"), reply["text"]) == (["accept", "chunk", "reply"], "one two")


async def test_a_broker_that_is_killed_in_mid_answer_costs_the_device_nothing(tmp_path: Path) -> None:
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        house_of(tmp_path, model, broker) as house,
        device_at(broker.address) as robot,
    ):
        robot.chat("c1", "Hi")
        await robot.until("chunk")
        await broker.kill()
        model.say("two")
        model.end()
        await house.program.until_said("complete")
        await broker.start()
        end = await robot.until("end", "reply")
        (message,) = await house.messages()
    heard = end["text"] if end["type"] == "reply" else robot.text()
    assert heard == message["content"] == "one two"


async def test_a_gateway_that_is_killed_in_mid_answer_tells_the_error_when_it_is_asked_again(
    tmp_path: Path,
) -> None:
    async with running_mosquitto() as broker, model_server() as model:
        async with house_of(tmp_path, model, broker) as house, device_at(broker.address) as robot:
            robot.chat("c1", "Hi")
            await robot.until("chunk")
            await house.program.end(signal.SIGKILL)
        async with house_of(tmp_path, model, broker) as house, device_at(broker.address) as robot:
            robot.chat("c1", "Hi")
            error = await robot.until("error")
            (message,) = await house.messages()
    assert (error["code"], error["retryable"]) == ("interrupted", True)
    assert message["status"] == "interrupted"


async def test_a_drain_ends_the_answers_and_refuses_new_chats(tmp_path: Path) -> None:
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        house_of(tmp_path, model, broker, DRAIN_S="10") as house,
        device_at(broker.address) as robot,
    ):
        robot.chat("c1", "Hi")
        await robot.until("chunk")
        house.program.process.send_signal(signal.SIGTERM)
        await house.program.until_said("draining")
        robot.chat("c2", "Hi")
        refused = await robot.until("error", id="c2")
        ended = await robot.until("error", id="c1")
        assert await house.program.ended() == 0
    assert (refused["code"], refused["retryable"]) == ("draining", True)
    assert (ended["code"], robot.text("c1")) == ("draining", "one ")


@pytest.mark.parametrize("path", ["/messages/stream", "/api/chatbot/messages"])
async def test_what_is_asked_over_http_is_mirrored_to_a_device(tmp_path: Path, path: str) -> None:
    body = {"content": "Hi", "mirror": "robot-1"}
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        house_of(tmp_path, model, broker) as house,
        device_at(broker.address) as robot,
    ):
        assert (await house.http.post(path, json=body)).status_code == 404
        assert await house.messages() == []
        robot.status("ready")
        await robot.until_taken()
        model.open_with("one ", "two", end=True)
        assert (await house.http.post(path, json=body)).status_code == 200
        end = await robot.until("end")
        (message,) = await house.messages()
    assert {frame["mirror"] for frame in robot.frames(message["stream_id"])} == {True}
    assert (robot.text(), end["id"], end["length"]) == ("one two", message["stream_id"], 7)


async def test_a_device_is_registered_beside_a_gateway_that_runs(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_mosquitto() as broker,
        model_server() as model,
        house_of(tmp_path, model, broker) as house,
        device_at(broker.address) as robot,
    ):
        database = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
        async with forked_sluice(
            "devices", "add", "robot-1", "--user", "anna", DATABASE_URL=database
        ) as command:
            assert await command.ended() == 0, command.said
        model.open_with("one ", end=True)
        robot.chat("c1", "Hi")
        await robot.until("end")
        assert await house.messages() == []  # they are anna's
        asked = await house.http.post("/messages/stream", json={"content": "Hi", "mirror": "robot-1"})
        assert asked.status_code == 404


async def test_the_other_tabs_hear_a_devices_question_and_its_end(tmp_path: Path) -> None:
    async with (
        running_mosquitto() as broker,
        model_server() as model,
        house_of(tmp_path, model, broker) as house,
        device_at(broker.address) as robot,
    ):
        model.open_with("one ", end=True)
        session = (await house.http.post("/api/chatbot/sessions", json={})).json()
        told: list[str] = []
        async with house.http.stream("GET", f"/api/chatbot/sessions/{session['id']}/events") as events:
            robot.chat("c1", "Hi", session=session["key"])
            async for line in events.aiter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line[6:])["type"])
                if told[-1:] == ["reply_ended"]:
                    break
    assert told == ["message", "reply_started", "reply_ended"]


def make(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name
