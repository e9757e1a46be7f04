"""A model server of the tests' own: as slow or as fast as a test wants it, and it knows who has hung up."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.transports.llama.raw_server import Peer, RawServer, raw_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chunk(text: str, finish_reason: str | None = None) -> bytes:
    """One frame of llama.cpp's stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def tool_call(name: str, arguments: str) -> list[bytes]:
    """Frames of a reply that has the tool's name as its reasoning, and calls it."""
    call = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    deltas = [({"reasoning_content": name}, None), ({"tool_calls": [call]}, None), ({}, "tool_calls")]
    choices = [{"index": 0, "delta": delta, "finish_reason": reason} for delta, reason in deltas]
    return [b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n" for choice in choices]


class ModelServer:
    """Every reply begins with `opening`; what comes then is said by the test, to all replies at once."""

    def __init__(self, server: RawServer) -> None:
        self._server = server
        self.url = server.url

    @property
    def replies(self) -> Sequence[Peer]:
        """The connections of questions that have not hung up."""
        return [peer for peer in self._server.peers if _asks(peer) and not peer.gone.is_set()]

    def open_with(self, *texts: str, end: bool = False) -> None:
        """From now on replies begin, or consist, of these texts."""
        ending = [chunk("", "stop"), DONE] if end else []
        self._server.answer = [HEAD, *map(chunk, texts), *ending]
        self._server.ending = "close" if end else "stay"

    def call(self, name: str, arguments: str) -> None:
        """From now on replies call this tool."""
        self._server.answer = [HEAD, *tool_call(name, arguments), DONE]
        self._server.ending = "close"

    def say(self, text: str) -> None:
        for peer in self.replies:
            peer.say([chunk(text)])

    def end(self) -> None:
        for peer in self.replies:
            peer.say([chunk("", "stop"), DONE], "close")

    async def all_gone(self) -> None:
        """Return when every question's connection was hung up."""
        for peer in self._server.peers:
            if _asks(peer):
                await peer.gone.wait()


def _asks(peer: Peer) -> bool:
    return peer.received.startswith(b"POST")


@asynccontextmanager
async def model_server() -> AsyncIterator[ModelServer]:
    async with raw_server() as server:
        model = ModelServer(server)
        model.open_with("one ")
        yield model
