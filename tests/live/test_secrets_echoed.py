"""A model server that repeats the key it was sent: nobody hears it, and it is kept nowhere."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.live.test_gateway import running_gateway
from tests.web.gateway_server import STREAM

pytestmark = pytest.mark.live

KEY = "llama-hunter2/with+all=signs"
OTHERS_KEY = "sk-proj-" + "hunter2" * 5
SPELLINGS = [KEY, quote(KEY, safe=""), OTHERS_KEY]


def said_by(server: str) -> bytes:
    """An error with the keys in it, one of them where texts are cut."""
    told = f"Incorrect API key provided: Bearer {KEY} ({quote(KEY, safe='')}, {OTHERS_KEY}). "
    told += "x" * (495 - len(told)) + KEY
    error = json.dumps({"error": {"message": told, "type": "x", "code": KEY}})
    if server == "in a stream":
        head, body = "200 OK\r\nContent-Type: text/event-stream", f"data: {error}\n\n"
    elif server == "as text":
        head, body = "500 Oh\r\nContent-Type: text/plain", told
    else:
        head, body = f"{server} Oh\r\nContent-Type: application/json", error
    return f"HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{body}".encode()


@asynccontextmanager
async def model_server(server: str) -> AsyncIterator[str]:
    async def answer(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        with closing(outgoing), suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await incoming.readuntil(b"\r\n\r\n")
            assert f"Bearer {KEY}".encode() in head
            outgoing.write(said_by(server))
            await outgoing.drain()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


READ_AFTERWARDS = ["/ready", "/", "/api/metrics", "/v1/models", "/api/chatbot/sessions/1/messages"]


def kept_in(folder: Path) -> list[str]:
    """The database's files, as far as they are text."""
    return [file.read_bytes().decode("utf-8", "replace") for file in folder.iterdir() if file.is_file()]


SERVERS = ["400", "401", "429", "500", "503", "in a stream", "as text"]


@pytest.mark.parametrize(
    ("server", "log_format"), [*((server, "text") for server in SERVERS), ("500", "json")]
)
async def test_a_key_that_is_repeated_in_an_error_goes_nowhere(
    tmp_path: Path, server: str, log_format: str
) -> None:
    async with asyncio.timeout(120), model_server(server) as url:
        settings = {"LLM_SERVER_URL": url, "LLM_API_KEY": KEY, "LOG_LEVEL": "debug", "LOG_FORMAT": log_format}
        async with running_gateway(tmp_path, **settings) as gateway:
            heard = [
                (await gateway.http.post(path, json=body)).text
                for path, body in (
                    (STREAM, {"content": "Hi"}),
                    ("/api/chatbot/messages", {"content": "Hi"}),
                    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
                    ("/api/v1/chat/unified/stream", {"message": "Hi", "user_id": "1"}),
                )
            ]
            heard += [(await gateway.http.get(path)).text for path in READ_AFTERWARDS]
            assert await gateway.program.end(signal.SIGTERM) == 0
    everything = [*heard, gateway.program.said, *kept_in(tmp_path)]
    assert "failed (upstream_error)" in gateway.program.said
    for text in everything:
        assert [spelt for spelt in SPELLINGS if spelt in text] == []
        assert "hunter2" not in text
