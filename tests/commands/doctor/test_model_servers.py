"""The check of model servers: scripted ones with one fault each, and a real llama.cpp."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from tests.commands.doctor.clinic import doctor
from tests.live.llama_server import requires_llama, running_llama
from tests.live.scripted_model import scripted_model
from transports.llama.embedded_server import tiny_model_path


@asynccontextmanager
async def answering(**answers: tuple[int, str]) -> AsyncIterator[str]:
    """Serve: the last word of a path chooses the status and body; 404 for others."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1].rsplit("/", 1)[-1]
            status, body = answers.get(path, (404, "{}"))
            writer.write(f"HTTP/1.1 {status} \r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def models(*names: str) -> tuple[int, str]:
    return 200, json.dumps({"data": [{"id": name} for name in names]})


REFUSED = (404, json.dumps({"error": {"message": "no such model"}}))


async def test_nothing_listens(tmp_path: Path) -> None:
    seen = await asyncio.to_thread(doctor, tmp_path)
    level, wrong, fix = seen.problem("model servers")
    assert (seen.code, level, "Connection refused" in wrong) == (2, "failure", True)
    assert fix.startswith("llama-server -m")


async def test_a_server_that_is_up_without_a_model(tmp_path: Path) -> None:
    async with answering(health=(200, "{}"), models=models(), completions=REFUSED) as url:
        seen = await asyncio.to_thread(doctor, tmp_path, LLM_SERVER_URL=url)
    level, wrong, fix = seen.problem("model servers")
    assert (level, wrong) == ("failure", f"{url} answers, and has no model: no such model")
    assert "ollama pull" in fix


async def test_a_model_that_fails(tmp_path: Path) -> None:
    broken = (500, json.dumps({"error": {"message": "out of memory"}}))
    async with answering(health=(200, "{}"), models=models("tiny\x1b[2J"), completions=broken) as url:
        seen = await asyncio.to_thread(doctor, tmp_path, LLM_SERVER_URL=url)
    level, wrong, fix = seen.problem("model servers")
    assert (level, wrong) == (
        "failure",
        rf"{url} lists tiny\x1b[2J, and a reply of one token fails: out of memory",
    )
    assert fix.startswith(f"curl {url}/v1/chat/completions")


async def test_a_server_that_still_loads_its_model(tmp_path: Path) -> None:
    async with answering(health=(503, "{}")) as url:
        seen = await asyncio.to_thread(doctor, tmp_path, LLM_SERVER_URL=url)
    _, wrong, fix = seen.problem("model servers")
    assert ("still loading" in wrong, fix.startswith(f"curl {url}/health")) == (True, True)


async def test_a_server_with_another_key(tmp_path: Path) -> None:
    async with answering(health=(401, "{}"), models=(401, "{}")) as url:
        seen = await asyncio.to_thread(doctor, tmp_path, LLM_SERVER_URL=url, LLM_API_KEY="my-wrong-key")
    _, wrong, fix = seen.problem("model servers")
    assert ("does not accept the gateway's API key" in wrong, "LLM_API_KEY=…" in fix) == (True, True)
    assert "my-wrong-key" not in seen.output


async def test_an_address_that_is_no_model_servers(tmp_path: Path) -> None:
    async with answering() as url:
        seen = await asyncio.to_thread(doctor, tmp_path, LLM_SERVER_URL=url)
    _, wrong, fix = seen.problem("model servers")
    assert ("no model server is at this address" in wrong, f"{url}/v1/models" in fix) == (True, True)


async def test_one_of_two_servers_is_away(tmp_path: Path) -> None:
    async with scripted_model() as url:
        servers = f"{url},http://127.0.0.1:9"
        seen = await asyncio.to_thread(doctor, tmp_path, LLM_SERVER_URL=servers)
    level, wrong, _ = seen.problem("model servers")
    assert (level, wrong.startswith("http://127.0.0.1:9: ")) == ("warning", True)


def test_mode_mqtt_needs_no_model_server(tmp_path: Path) -> None:
    seen = doctor(tmp_path, LLM_COMM_MODE="mqtt", MQTT_BROKER_HOST="127.0.0.1", MQTT_BROKER_PORT="9")
    assert seen.level("model servers") == "skipped"


@pytest.mark.live
@requires_llama()
async def test_a_real_llama_cpp_replies_with_one_token(tmp_path: Path) -> None:
    async with running_llama(tiny_model_path()) as server:
        seen = await asyncio.to_thread(doctor, tmp_path, LLM_SERVER_URL=server.url)
    assert seen.level("model servers") == "ok"
    assert "models: tiny" in seen.output
