"""Existing frontends, in Python and in JavaScript, against the gateway process in both modes."""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.requests import ChatRequest
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.llama_server import requires_llama, running_llama
from tests.live.model_server import model_server
from tests.live.test_gateway import Gateway, running_gateway
from tests.web.frontends import AWKWARD, FRONTENDS, LUNAR, PIECES, PRINTER, WORDS
from transports.llama.embedded_server import tiny_model_path
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step, tokens, whole

pytestmark = pytest.mark.live

NODE = shutil.which("node")
SCRIPT = Path(__file__).parents[1] / "web" / "frontends.mjs"

requires_node = pytest.mark.skipif(
    NODE is None and os.environ.get("REQUIRE_LIVE") != "1", reason="needs Node: install the package `nodejs`"
)
IN_JAVASCRIPT: list[tuple[str, str, dict[str, Any]]] = [
    ("lunar", LUNAR, {"message": "Hi", "conversation": [1, 2]}),
    ("printer", PRINTER, {"user_message": "Hi", "chat_node_id": "c", "context_texts": []}),
    ("words", WORDS, {"message": "Hi", "user_id": "ann"}),
    ("text", f"{WORDS}?format=text", {"message": "Hi", "user_id": "bob"}),
]


async def kept(gateway: Gateway) -> list[str]:
    """Return the stored text of every reply, in the order of the questions."""
    sessions = (await gateway.http.get("/api/chatbot/sessions?limit=200")).json()
    replies: dict[int, str] = {}
    for session in sessions:
        for message in (await gateway.http.get(f"/api/chatbot/sessions/{session['id']}/messages")).json():
            if message["role"] == "assistant":
                assert message["status"] == "complete", message
                replies[message["id"]] = message["content"]
    return [replies[id_] for id_ in sorted(replies)]


async def shown_in_python(gateway: Gateway) -> list[str]:
    texts = []
    for frontend in FRONTENDS:
        request = gateway.http.stream("POST", frontend.path, json=frontend.request("Tell me of the river."))
        async with request as response:
            assert response.status_code == 200, await response.aread()
            screen = frontend.show([read async for read in response.aiter_raw()])
        assert (screen.error, screen.finished) == (None, frontend.tells_end), frontend.name
        texts.append(screen.text)
    return texts


async def shown_in_javascript(gateway: Gateway) -> list[dict[str, Any]]:
    """Run the frontends of IN_JAVASCRIPT one after the other in one Node process; return what each shows."""
    assert NODE is not None, "REQUIRE_LIVE=1, and there is no node"
    url = str(gateway.http.base_url).rstrip("/")
    jobs = [{"url": url + path, "body": body, "habit": habit} for habit, path, body in IN_JAVASCRIPT]
    node = await asyncio.create_subprocess_exec(NODE, str(SCRIPT), stdin=PIPE, stdout=PIPE)
    try:
        said, _ = await node.communicate(json.dumps(jobs).encode())
    finally:
        if node.returncode is None:
            node.kill()
            await node.wait()
    assert node.returncode == 0
    screens: list[dict[str, Any]] = json.loads(said)
    return screens


def by_token(_: ChatRequest) -> Iterable[Step]:
    return tokens(*PIECES)


def in_one_piece(_: ChatRequest) -> Iterable[Step]:
    return whole(AWKWARD)


@asynccontextmanager
async def over_http(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with model_server() as model:
        model.open_with(*PIECES, end=True)
        async with running_gateway(tmp_path, LLM_SERVER_URL=model.url) as gateway:
            yield gateway


@asynccontextmanager
async def over_mqtt(tmp_path: Path, *, in_pieces: bool) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(running_mosquitto())
        link = AiomqttLink(broker.address, client_id="w")
        worker = Worker(ScriptedTransport(by_token if in_pieces else in_one_piece), link)
        await stack.enter_async_context(worker.running())
        gateway = await stack.enter_async_context(
            running_gateway(
                tmp_path,
                LLM_COMM_MODE="mqtt",
                MQTT_BROKER_HOST=broker.address.host,
                MQTT_BROKER_PORT=str(broker.address.port),
                WORD_DELAY_S="0.001",
            )
        )
        await gateway.until_ready()
        yield gateway


@requires_llama()
async def test_they_show_what_llama_said_and_the_database_holds(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        running_gateway(tmp_path, LLM_SERVER_URL=llama.url) as gateway,
    ):
        shown = await shown_in_python(gateway)
        assert all(shown)
        assert shown == await kept(gateway)


async def test_they_show_awkward_text_from_a_model_server(tmp_path: Path) -> None:
    async with asyncio.timeout(120), over_http(tmp_path) as gateway:
        assert await shown_in_python(gateway) == await kept(gateway) == [AWKWARD] * len(FRONTENDS)


@requires_mosquitto()
@pytest.mark.parametrize("in_pieces", [True, False], ids=["token by token", "in one piece"])
async def test_they_show_awkward_text_from_a_worker(tmp_path: Path, in_pieces: bool) -> None:
    async with asyncio.timeout(120), over_mqtt(tmp_path, in_pieces=in_pieces) as gateway:
        assert await shown_in_python(gateway) == await kept(gateway) == [AWKWARD] * len(FRONTENDS)


@requires_node
async def test_in_javascript_they_show_what_a_model_server_said(tmp_path: Path) -> None:
    async with asyncio.timeout(120), over_http(tmp_path) as gateway:
        screens = await shown_in_javascript(gateway)
        texts = await kept(gateway)
    assert screens == [{"text": AWKWARD, "error": None, "finished": True}] * len(IN_JAVASCRIPT)
    assert texts == [AWKWARD] * len(IN_JAVASCRIPT)


@requires_node
@requires_mosquitto()
@pytest.mark.parametrize("in_pieces", [True, False], ids=["token by token", "in one piece"])
async def test_in_javascript_they_show_what_a_worker_said(tmp_path: Path, in_pieces: bool) -> None:
    async with asyncio.timeout(120), over_mqtt(tmp_path, in_pieces=in_pieces) as gateway:
        screens = await shown_in_javascript(gateway)
        texts = await kept(gateway)
    assert screens == [{"text": AWKWARD, "error": None, "finished": True}] * len(IN_JAVASCRIPT)
    assert texts == [AWKWARD] * len(IN_JAVASCRIPT)


@requires_node
async def test_in_javascript_a_refusal_is_read_from_its_body(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_gateway(tmp_path, LLM_SERVER_URL="http://127.0.0.1:9") as gateway,
    ):
        lunar, printer, words, text = await shown_in_javascript(gateway)
    assert lunar["error"] == printer["error"] is not None
    assert (words["text"], text["text"]) == (f"Error: {lunar['error']}",) * 2
