"""A model server with OpenAI's API only, like Ollama: no /health, no /props; a model must be named."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

MODEL = "llama3.2:latest"
TEXT = "I am your own model."
_MODELS = {
    "object": "list",
    "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "library"}],
}


def _answer(head: str, body: bytes) -> tuple[str, str, str]:
    """Status, content type and body."""
    if head.startswith("GET /v1/models "):
        return "200 OK", "application/json", json.dumps(_MODELS)
    if not head.startswith("POST /v1/chat/completions "):
        return "404 Not Found", "text/plain", "404 page not found"
    if not json.loads(body).get("model"):
        return "400 Bad Request", "application/json", json.dumps({"error": {"message": "model is required"}})
    frames = [_chunk({"role": "assistant", "content": word}) for word in TEXT.split(" ")]
    frames = [*frames, _chunk({"content": ""}, "stop"), "[DONE]"]
    return "200 OK", "text/event-stream", "".join(f"data: {frame}\n\n" for frame in frames)


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> str:
    delta = {name: f"{text} " if name == "content" and text else text for name, text in delta.items()}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return json.dumps({"id": "chatcmpl-1", "model": MODEL, "choices": [choice]})


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(
            (line[15:] for line in head.lower().split("\r\n") if line.startswith("content-length:")), "0"
        )
        status, content_type, body = _answer(head, await reader.readexactly(int(length)))
        answer = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n{body}"
        writer.write(answer.encode())
        await writer.drain()


@asynccontextmanager
async def ollama_like() -> AsyncIterator[str]:
    """Serve on a free port of loopback and give the URL."""
    async with await asyncio.start_server(_serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
