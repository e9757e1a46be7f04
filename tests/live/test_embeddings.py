"""Embeddings, counted tokens and continued texts of a real llama.cpp, through the whole gateway."""

import asyncio
import sys
from array import array
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.worker import serving
from gateway.settings import Settings
from tests.dialects.order import completions
from tests.live.brokers import Mosquitto, requires_mosquitto, running_mosquitto
from tests.live.llama_server import requires_llama, running_llama
from tests.live.programs import running_program
from tests.plain_http import plain_http
from tests.web.gateway_server import Served, served
from transports.llama.embedded_server import tiny_model_path
from transports.llama.servers import LlamaServers
from transports.llama.transport import LlamaTransport
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.requests.transport import MqttTransport

pytestmark = [pytest.mark.live, requires_llama()]

TEXTS = ["Where is the boat?", "Where is the boat", "A stone."]
WIDTH = 96
EXAMPLE = Path(__file__).parents[2] / "deploy/examples/embedding_worker.py"


async def test_they_are_those_of_llama_cpp(tmp_path: Path) -> None:
    async with asyncio.timeout(120), running_llama(tiny_model_path(), "--embeddings") as llama:
        async with served(tmp_path, lambda _: [], sse=LlamaTransport(llama.url)) as gateway:
            asked = {"model": "tiny", "input": TEXTS}
            floats = (await gateway.http.post("/v1/embeddings", json=asked)).json()
            texts = (
                await gateway.http.post("/v1/embeddings", json={**asked, "encoding_format": "base64"})
            ).json()
            ollama = (await gateway.http.post("/api/embed", json=asked)).json()
            wrong = await gateway.http.post("/v1/embeddings", json={"input": [[10**9]]})
            long = await gateway.http.post("/v1/embeddings", json={"input": "boat " * 1200})
            chat = await gateway.events({"content": "Hi"})
        async with plain_http(llama.url) as direct:
            own = (await direct.post("/v1/embeddings", json=asked)).json()
    vectors = [item["embedding"] for item in floats["data"]]
    assert [len(vector) for vector in vectors] == [WIDTH] * 3
    assert [array("f", vector) for vector in vectors] == [
        array("f", b64decode(item["embedding"])) for item in texts["data"]
    ]
    assert ollama["embeddings"] == vectors
    for ours, theirs in zip(vectors, (item["embedding"] for item in own["data"]), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    assert floats["usage"] == own["usage"]
    assert (wrong.status_code, long.status_code) == (400, 400)
    assert long.json()["error"]["code"] == "context_length_exceeded"
    assert chat[-1]["type"] == "done"


async def test_a_server_without_them_is_passed_over(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path(), "--alias", "chat") as plain,
        running_llama(tiny_model_path(), "--alias", "embedder", "--embeddings") as able,
    ):
        servers = LlamaServers([(each.url, LlamaTransport(each.url)) for each in (plain, able)])
        async with served(tmp_path, lambda _: [], sse=servers) as gateway:
            unnamed = await gateway.http.post("/v1/embeddings", json={"model": "ada", "input": "Hi"})
            named = await gateway.http.post("/v1/embeddings", json={"model": "chat", "input": "Hi"})
    assert (unnamed.status_code, unnamed.json()["model"]) == (200, "embedder")
    assert named.status_code == 501
    assert "--embeddings" in named.json()["error"]["message"]


async def test_tokens_are_counted_as_llama_cpp_counts_them(tmp_path: Path) -> None:
    tool = {"name": "weather", "description": "Of a city", "input_schema": {"type": "object"}}
    bodies: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": "Where is the boat?"}]},
        {"system": "Be kind.", "messages": [{"role": "user", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": "Hi"}], "tools": [tool]},
    ]
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        served(tmp_path, lambda _: [], sse=LlamaTransport(llama.url)) as gateway,
        plain_http(llama.url) as direct,
    ):
        for body in bodies:
            ours = await gateway.http.post("/v1/messages/count_tokens", json={"model": "tiny", **body})
            theirs = await direct.post("/v1/messages/count_tokens", json={"model": "tiny", **body})
            assert ours.status_code == 200, ours.text
            assert ours.json() == theirs.json()


async def test_a_text_is_continued_as_llama_cpp_continues_it(tmp_path: Path) -> None:
    asked = {"model": "tiny", "prompt": "Where is the", "max_tokens": 8, "temperature": 0, "seed": 1}
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        served(tmp_path, lambda _: [], sse=LlamaTransport(llama.url)) as gateway,
        plain_http(llama.url) as direct,
    ):
        own = (await direct.post("/v1/completions", json=asked)).json()
        whole = (await gateway.http.post("/v1/completions", json=asked)).json()
        streamed = await gateway.http.post("/v1/completions", json={**asked, "stream": True})
    assert whole["choices"][0]["text"] == own["choices"][0]["text"] != ""
    assert whole["usage"]["completion_tokens"] == own["usage"]["completion_tokens"]
    assert completions.hear(streamed.content).text == whole["choices"][0]["text"]


@asynccontextmanager
async def over_mqtt(tmp_path: Path) -> AsyncIterator[tuple[Mosquitto, Served, MqttTransport]]:
    """A broker, and a gateway whose only transport is MQTT."""
    async with running_mosquitto() as broker:
        transport = MqttTransport(AiomqttLink(broker.address, client_id="gw"))
        async with served(tmp_path, lambda _: [], sse=transport) as gateway:
            yield broker, gateway, transport


async def until_embeds(transport: MqttTransport) -> None:
    while not any(worker.status.embeds for worker in transport.workers):
        await transport.presence_changed()


def settings(broker: Mosquitto, url: str) -> Settings:
    address = broker.address
    return Settings(
        _env_file=None, llm_server_url=url, mqtt_broker_host=address.host, mqtt_broker_port=address.port
    )


@requires_mosquitto()
async def test_a_worker_makes_them_over_mqtt(tmp_path: Path) -> None:
    texts = [f"Where is boat {number}?" for number in range(40)]
    asked = {"model": "tiny", "input": texts}
    async with (
        asyncio.timeout(300),
        running_llama(tiny_model_path(), "--embeddings") as llama,
        over_mqtt(tmp_path) as (broker, gateway, transport),
        plain_http(llama.url) as direct,
    ):
        before = await gateway.http.post("/v1/embeddings", json=asked)
        async with serving(settings(broker, llama.url), "w-1"):
            await until_embeds(transport)
            made = (await gateway.http.post("/v1/embeddings", json=asked)).json()
            long = await gateway.http.post("/v1/embeddings", json={"input": "boat " * 1200})
            tokens = await gateway.http.post("/v1/embeddings", json={"input": [1, 2]})
            counted = await gateway.http.post(
                "/v1/messages/count_tokens", json={"messages": [{"role": "user", "content": "Hi"}]}
            )
            raw = await gateway.http.post("/v1/completions", json={"prompt": "Hi"})
        own = (await direct.post("/v1/embeddings", json=asked)).json()
    assert before.status_code == 503  # no worker at all
    vectors = [item["embedding"] for item in made["data"]]
    assert [len(vector) for vector in vectors] == [WIDTH] * 40
    for ours, theirs in zip(vectors, (item["embedding"] for item in own["data"]), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    assert (made["model"], made["usage"]) == ("tiny", own["usage"])
    assert (long.status_code, long.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert (tokens.status_code, tokens.json()["error"]["param"]) == (400, "input")
    assert (counted.status_code, raw.status_code) == (501, 501)


@requires_mosquitto()
async def test_a_worker_without_them_does_not_announce_them(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        over_mqtt(tmp_path) as (broker, gateway, transport),
        serving(settings(broker, llama.url), "w-1"),
    ):
        await transport.until_ready()
        refused = await gateway.http.post("/v1/embeddings", json={"input": "Hi"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (501, "not_supported")


@requires_mosquitto()
async def test_the_example_makes_them(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path(), "--embeddings") as llama,
        over_mqtt(tmp_path) as (broker, gateway, transport),
        running_program(
            *(sys.executable, str(EXAMPLE), "pi-1"),
            *(f"{broker.address.host}:{broker.address.port}", llama.url),
            cwd=tmp_path,
        ),
    ):
        await until_embeds(transport)
        made = (await gateway.http.post("/v1/embeddings", json={"input": TEXTS})).json()
        again = await gateway.http.post("/v1/embeddings", json={"input": "boat " * 1200})
    assert [len(item["embedding"]) for item in made["data"]] == [WIDTH] * 3
    assert made["model"] == "pi-1-embeddings"
    assert again.status_code == 502
