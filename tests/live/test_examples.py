"""The examples for microcontrollers, by plain Python, with a real broker and a real gateway."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.live.brokers import Mosquitto, requires_mosquitto, running_mosquitto
from tests.live.hand_worker import GATEWAY, Hand, reply_topic, status_topic
from tests.live.looking import look_again
from tests.live.programs import Program, clean_environment, running_program
from tests.live.test_gateway import Gateway, running_gateway
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.protocol.frame_codec import decode_reply, encode
from transports.mqtt.protocol.frames import ErrorFrame, MessageField, ReplyFrame, RequestFrame

pytestmark = [pytest.mark.live, requires_mosquitto()]

EXAMPLES = Path(__file__).parents[2] / "deploy/examples"


def configure(folder: Path, broker: Mosquitto, name: str) -> Path:
    """A folder of its own, as a board has one, with the example's settings."""
    folder.mkdir()
    settings = {"name": name, "broker": broker.address.host, "port": broker.address.port}
    (folder / "sluice.json").write_text(json.dumps(settings))
    return folder


def end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


@asynccontextmanager
async def worker(folder: Path, broker: Mosquitto) -> AsyncIterator[Program]:
    cwd = configure(folder, broker, "esp-1")
    async with running_program(sys.executable, str(EXAMPLES / "micropython_worker.py"), cwd=cwd) as program:
        yield program


@asynccontextmanager
async def gateway(folder: Path, broker: Mosquitto) -> AsyncIterator[Gateway]:
    settings = {"LLM_COMM_MODE": "mqtt", "MQTT_BROKER_HOST": broker.address.host}
    async with running_gateway(folder, MQTT_BROKER_PORT=str(broker.address.port), **settings) as running:
        yield running


async def test_a_microcontroller_serves_readers_over_http(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(120):
        broker = await stack.enter_async_context(running_mosquitto())
        front = await stack.enter_async_context(gateway(tmp_path, broker))
        await stack.enter_async_context(worker(tmp_path / "board", broker))
        await front.until_ready()
        for question in ("What do you see?", 'Grüße "an" 👩‍👩‍👧‍👦\nund \u2028 alle'):
            events = await front.ask(question)
            said = [event["content"] for event in events if event["type"] == "chunk"]
            assert "".join(said) == events[-1]["full_content"] == f"You said: {question}"
            assert (events[-1]["type"], events[-1]["delivery"]) == ("done", "token")


async def test_a_microcontroller_stops_when_it_is_told_to_and_outlives_its_broker(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(120):
        broker = await stack.enter_async_context(running_mosquitto())
        front = await stack.enter_async_context(gateway(tmp_path, broker))
        board = await stack.enter_async_context(worker(tmp_path / "board", broker))
        await front.until_ready()
        endless = "word " * 6_000
        async with front.http.stream("POST", "/messages/stream", json={"content": endless}) as response:
            lines = response.aiter_lines()
            while '"chunk"' not in await anext(lines):
                pass
        assert (await front.ask("again"))[-1]["full_content"] == "You said: again"
        await broker.kill()
        await board.until_said("no broker")
        await front.until_not_ready()
        await broker.start()
        await front.until_ready()
        assert (await front.ask("and again"))[-1]["full_content"] == "You said: and again"


async def test_a_microcontroller_refuses_images_by_name(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(120):
        broker = await stack.enter_async_context(running_mosquitto())
        hand = Hand(broker, GATEWAY)
        answers = asyncio.Queue[ReplyFrame]()
        hand.link.subscribe(
            reply_topic("esp-1"), lambda _, payload, __: answers.put_nowait(decode_reply(payload))
        )
        ready = asyncio.Event()
        hand.link.subscribe(status_topic("esp-1"), lambda *_: ready.set())
        await stack.enter_async_context(hand.running())
        await stack.enter_async_context(worker(tmp_path / "board", broker))
        await ready.wait()
        image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}]
        asked = RequestFrame("x", reply_topic("esp-1"), [MessageField("user", image)])
        await hand.publish("sluice/v1/workers/esp-1/inbox", encode(asked))
        error = await answers.get()
    assert isinstance(error, ErrorFrame)
    assert (error.code, error.retryable) == ("unsupported_content", False)


async def test_rubbish_does_not_end_a_microcontroller(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(120):
        broker = await stack.enter_async_context(running_mosquitto())
        front = await stack.enter_async_context(gateway(tmp_path, broker))
        await stack.enter_async_context(worker(tmp_path / "board", broker))
        await front.until_ready()
        link = AiomqttLink(broker.address, client_id="stranger", max_payload=2_000_000)
        connected = asyncio.Event()
        link.watch(lambda up: connected.set() if up else None)
        await stack.enter_async_context(link.running())
        await connected.wait()
        for payload in (
            b"",
            b"\xff",
            b"[" * 100_000,
            b"[]",
            b'{"type":"request"}',
            b'{"type":"request","id":1,"reply_to":2}',
            b'{"type":"request","id":"x","reply_to":"sluice/v1/workers/esp-1/status"}',
            b'{"type":"request","id":"y","reply_to":"sluice/v1/gateways/g/replies/esp-1","messages":[]}',
            b'{"type":"cancel","id":"nobody"}',
        ):
            await link.publish("sluice/v1/workers/esp-1/inbox", payload)
        await link.publish("sluice/v1/workers/esp-1/status", b'{"type":"status","state":"lost"}', retain=True)
        while not (await front.http.get("/api/chatbot/workers")).json():
            await look_again()  # it contradicts its lost
        assert (await front.ask("still there?"))[-1]["full_content"] == "You said: still there?"


async def test_a_microcontroller_asks_and_hears_the_answer_as_it_comes(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(120):
        broker = await stack.enter_async_context(running_mosquitto())
        front = await stack.enter_async_context(gateway(tmp_path, broker))
        await stack.enter_async_context(worker(tmp_path / "board", broker))
        await front.until_ready()
        device = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / "micropython_device.py"),
            cwd=configure(tmp_path / "robot", broker, "robot-1"),
            env=clean_environment(PYTHONIOENCODING="utf-8"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
        )
        stack.push_async_callback(device.wait)
        stack.callback(end, device)
        questions = ["Where is the river?", "Grüße 👩‍👩‍👧‍👦"]
        said, _ = await device.communicate("\n".join([*questions, ""]).encode())
        assert said.decode() == "".join(f"> You said: {question}\n" for question in questions) + "> "
        sessions = (await front.http.get("/api/chatbot/sessions")).json()
        assert len(sessions) == 1, "the second chat continued the first one's session"
        kept = (await front.http.get(f"/api/chatbot/sessions/{sessions[0]['id']}/messages")).json()
        assert [message["content"] for message in kept if message["role"] == "user"] == questions


async def test_an_answer_that_fails_in_the_worker_that_keeps_replies_ends_as_an_error(tmp_path: Path) -> None:
    program = tmp_path / "worker.py"
    source = (EXAMPLES / "keeping_worker.py").read_text()
    program.write_text(
        source.replace('    for word in ("You"', '    raise OSError("no sensor")\n    for word in ("You"')
    )
    async with AsyncExitStack() as stack, asyncio.timeout(120):
        broker = await stack.enter_async_context(running_mosquitto())
        front = await stack.enter_async_context(gateway(tmp_path, broker))
        address = f"{broker.address.host}:{broker.address.port}"
        await stack.enter_async_context(running_program(sys.executable, str(program), "kept-1", address))
        await front.until_ready()
        events = await front.ask("What do you see?")
    assert (events[-1]["type"], events[-1]["code"]) == ("error", "upstream_error")
