"""A model server that keeps its streams as llama.cpp does, and counts what it is asked."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.live.model_server import DONE, chunk

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
ABOUT: dict[str, Any] = {
    "/health": {"status": "ok"},
    "/v1/models": {"object": "list", "data": [{"id": "kept", "object": "model", "owned_by": "llamacpp"}]},
    "/props": {"total_slots": 8, "default_generation_settings": {"n_ctx": 4096}},
}


KEPT_BYTES = 4 * 1024 * 1024
"""Of each stream, the last bytes are kept."""
PADDING = b": " + 1020 * b"x" + b"\n\n"
OPENING = "one "
"""The beginning of every reply."""


@dataclass
class Stream:
    """One reply.

    Attributes:
        question: the last message of its request.
        text: all of it, without frames.
        body: the last bytes of the response.
        dropped: number of bytes before those.
    """

    question: str
    text: str = ""
    body: bytearray = field(default_factory=bytearray)
    dropped: int = 0
    ended: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, text: str, padding: int = 0) -> None:
        if not self.ended:
            self.text += text
            self.add(PADDING * (padding // len(PADDING)) + chunk(text))

    def add(self, more: bytes, *, ended: bool = False) -> None:
        if not self.ended:
            self.body += more
            lost = max(0, len(self.body) - KEPT_BYTES)
            self.dropped += lost
            del self.body[:lost]
            self.ended = ended
            self.changed.set()


class KeepingModel:
    """asked: number of requests, by `METHOD path`. streams: by conversation id. has_slot: set while a new
    reply begins at once; else it waits, and its response has not even a head."""

    def __init__(self) -> None:
        self.has_slot = asyncio.Event()
        self.has_slot.set()
        self.asked: Counter[str] = Counter()
        self.streams: dict[str, Stream] = {}
        self.url = ""
        self._server: asyncio.Server | None = None
        self._port = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def up(self) -> None:
        """Listen, after `down` at the same address."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def cut(self) -> None:
        """Break all connections, as a firewall in between does."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def down(self, *, forget: bool = False) -> None:
        """Break all connections and refuse new ones. forget: as a server that was killed."""
        assert self._server is not None
        self._server.close()
        await self.cut()
        if forget:
            self.streams.clear()

    def of(self, question: str) -> Stream:
        """Return the only stream of a question."""
        (found,) = [stream for stream in self.streams.values() if stream.question == question]
        return found

    def say(self, text: str, *, padding: int = 0) -> None:
        """Generate text in all running replies. padding: bytes of comments before it."""
        for stream in self.streams.values():
            stream.say(text, padding)

    def free_slot(self) -> None:
        """Begin the replies that wait."""
        self.has_slot.set()
        for stream in self.streams.values():
            if not stream.text:
                stream.say(OPENING)

    def end(self) -> None:
        for stream in self.streams.values():
            stream.add(chunk("", "stop") + DONE, ended=True)

    async def until_asked(self, what: str, times: int = 1) -> None:
        while self.asked[what] < times:
            self._news.clear()
            await self._news.wait()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. False: the connection ends."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *lines = head.rstrip().split("\r\n")
        method, target, _ = request.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path, _, query = target.partition("?")
        values = dict(part.split("=") for part in query.split("&") if part)
        self.asked[f"{method} {path}"] += 1
        self._news.set()
        if path in ABOUT:
            _send(writer, 200, ABOUT[path])
        elif path == "/v1/streams/lookup":
            ids = json.loads(body)["conversation_ids"]
            _send(writer, 200, [{"conversation_id": id} for id in ids if id in self.streams])
        elif path == "/v1/chat/completions":
            stream = Stream(json.loads(body)["messages"][-1]["content"])
            if (id := headers.get("x-conversation-id")) is not None:
                self.streams[id] = stream
            if self.has_slot.is_set():
                stream.say(OPENING)
            await self.has_slot.wait()
            await _follow(writer, stream, 0)
        elif path == "/v1/stream" and method == "DELETE":
            if (stopped := self.streams.pop(values["conv_id"], None)) is not None:
                stopped.add(b"", ended=True)
            _send(writer, 204, None)
        elif path == "/v1/stream" and (kept := self.streams.get(values["conv_id"])) is not None:
            if int(values["from"]) < kept.dropped:
                _send(writer, 400, {"error": {"code": 400, "message": "Stream offset lost"}})
            else:
                await _follow(writer, kept, int(values["from"]))
        else:
            _send(writer, 404, {"error": {"code": 404, "message": "not found"}})
        return True


def _send(writer: asyncio.StreamWriter, status: int, told: object) -> None:
    body = b"" if told is None else json.dumps(told).encode()
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


async def _follow(writer: asyncio.StreamWriter, stream: Stream, at: int) -> None:
    writer.write(HEAD)
    while True:
        stream.changed.clear()
        if at < stream.dropped:  # the follower was too slow
            writer.write(b"0\r\n\r\n")
            return
        if new := bytes(stream.body[at - stream.dropped :]):
            writer.write(b"%x\r\n%b\r\n" % (len(new), new))
            await writer.drain()
            at += len(new)
        elif stream.ended:
            writer.write(b"0\r\n\r\n")
            return
        else:
            await stream.changed.wait()


@asynccontextmanager
async def keeping_model() -> AsyncIterator[KeepingModel]:
    model = KeepingModel()
    await model.up()
    try:
        yield model
    finally:
        await model.down()
