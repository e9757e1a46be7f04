"""A model server whose replies the questions ask for: the first word of the latest question is a command.

say, think (reasons first), json (an object), look (counts images), call (calls the first tool, then tells its
result), hold (goes on until the client hangs up), pause (the second half waits until somebody asks `go` with
the same words), flood (pause with more than 80 kB), break (an error after some text), refuse (status 400),
fail (status 500). Most texts repeat what follows the command.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

MODEL = "scripted"
CALL_ID = "call_1"
_AWKWARD = 'w\u00f6rld \U0001f469\u200d\U0001f469\u200d\U0001f467 \u2028 \r\n"quoted" \\ end.'
_SMILE = "\U0001f642\u00e9"
_HALVES = {"pause": (40, 1), "flood": (800, 20)}
"""Number of pieces, and of smiles in each."""

_ABOUT: dict[str, dict[str, Any]] = {
    "/health": {"status": "ok"},
    "/v1/models": {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1}]},
    "/props": {
        "total_slots": 8,
        "default_generation_settings": {"n_ctx": 4096},
        "modalities": {"vision": True, "audio": False},
    },
}
_REFUSALS: dict[str, tuple[int, dict[str, Any]]] = {
    "refuse": (400, {"code": 400, "message": "The context is full.", "type": "exceed_context_size_error"}),
    "fail": (500, {"code": 500, "message": "The model broke.", "type": "server_error"}),
}
_BROKEN = {"error": {"code": 500, "message": "The model broke.", "type": "server_error"}}

Delta = dict[str, Any]
Paused = dict[str, asyncio.Event]
"""The paused replies by their topics."""


def _texts(content: object) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content if isinstance(content, str) else ""


def _question(messages: list[dict[str, Any]]) -> tuple[str, str]:
    """Return command and topic of the latest question."""
    told = [message for message in messages if message["role"] == "user"]
    command, _, topic = _texts(told[-1]["content"] if told else "").strip().partition(" ")
    return command, topic


def _words(text: str) -> Iterator[Delta]:
    for word in text.split(" "):
        yield {"content": f"{word} "}


def _deltas(body: dict[str, Any]) -> Iterator[Delta]:
    messages = body["messages"]
    command, topic = _question(messages)
    about = f"About {topic}: {_AWKWARD}"
    if command == "call" and messages[-1]["role"] == "tool":
        yield from _words(f"The tool says {_texts(messages[-1]['content'])}. {about}")
    elif command == "call":
        yield _call({"id": CALL_ID, "type": "function"}, body["tools"][0]["function"]["name"])
        yield _call({}, arguments='{"city":')
        yield _call({}, arguments=' "Paris"}')
    elif command == "json":
        yield {"content": '{"city": '}
        yield {"content": f"{json.dumps(topic)}}}"}
    elif command == "look":
        images = [part for part in messages[-1]["content"] if part["type"] == "image_url"]
        yield from _words(f"{len(images)} image. {about}")
    elif command in _HALVES:
        pieces, smiles = _HALVES[command]
        yield from ({"content": f"{number} {smiles * _SMILE}\n\n"} for number in range(pieces))
    else:
        if command == "think":
            yield {"reasoning_content": "Let me "}
            yield {"reasoning_content": "think."}
        yield from _words(about)


def _call(call: dict[str, Any], name: str | None = None, arguments: str = "") -> Delta:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": 0, **call, "function": function}]}


def _chunk(delta: Delta, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _data({"id": "chatcmpl-1", "model": MODEL, "choices": [choice]})


def _data(frame: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(frame).encode() + b"\n\n"


def _reply(body: dict[str, Any]) -> Iterator[bytes]:
    """The frames of a reply that ends by itself."""
    deltas = list(_deltas(body))
    yield from map(_chunk, deltas)
    yield _chunk({}, "tool_calls" if "tool_calls" in deltas[-1] else "stop")
    yield _data(
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": len(deltas), "total_tokens": 7}}
    )
    yield b"data: [DONE]\n\n"


def _head(status: int, content_type: str) -> bytes:
    return f"HTTP/1.1 {status} OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n".encode()


def _json(status: int, body: dict[str, Any]) -> bytes:
    return _head(status, "application/json") + json.dumps(body).encode()


async def _answer(
    path: str, raw: bytes, paused: Paused, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    if path in _ABOUT:
        writer.write(_json(200, _ABOUT[path]))
        return
    if path != "/v1/chat/completions":
        writer.write(_json(404, {"error": {"message": "not found"}}))
        return
    body = json.loads(raw)
    command, topic = _question(body["messages"])
    latest = body["messages"][-1]
    wrong = not str(latest.get("tool_call_id")).startswith(CALL_ID)  # Ollama's clients know no ids
    if command == "call" and latest["role"] == "tool" and wrong:
        writer.write(_json(400, {"error": {"code": 400, "message": f"No such call: {latest}."}}))
        return
    if command in _REFUSALS:
        status, error = _REFUSALS[command]
        writer.write(_json(status, {"error": error}))
        return
    writer.write(_head(200, "text/event-stream"))
    if command in ("hold", "break"):
        for delta in _deltas(body):
            writer.write(_chunk(delta))
        if command == "hold":
            await reader.read()  # until the client hangs up
        else:
            writer.write(_data(_BROKEN))
        return
    frames = list(_reply(body))
    if command in _HALVES:
        may_go_on = paused[topic] = asyncio.Event()
        half = len(frames) // 2
        writer.writelines(frames[:half])
        await _either(may_go_on.wait(), reader.read())
        frames = frames[half:]
    elif command == "go":
        paused.pop(topic).set()
    writer.writelines(frames)


async def _either(*waits: Awaitable[object]) -> None:
    """Return when one of these has ended, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _serve(paused: Paused, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lengths = [line[15:] for line in head.lower().split("\r\n") if line.startswith("content-length:")]
        body = await reader.readexactly(int(lengths[0]) if lengths else 0)
        await _answer(head.split(" ")[1], body, paused, reader, writer)
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the client has hung up
    finally:
        writer.close()


@asynccontextmanager
async def scripted_model() -> AsyncIterator[str]:
    """Serve on a free port of loopback and give the URL."""
    async with await asyncio.start_server(partial(_serve, {}), "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
