"""A model server in memory, and a transport to it."""

import asyncio
import json
from typing import Any

import httpx

from tests.transports.llama import captures
from transports.llama.http_exchange import HttpExchange
from transports.llama.transport import LlamaTransport

SSE = {"content-type": "text/event-stream"}
REPLY = httpx.Response(200, headers=SSE, content=captures.body("chat_stream_usage"))
MODELS = {"data": [{"id": "big", "owned_by": "llamacpp"}, {"id": "small", "owned_by": "llamacpp"}]}

Answers = dict[str, httpx.Response | Exception]


class Server:
    """A model server in memory. answers: by path; asked: the requests, as they came."""

    def __init__(self, **answers: Any) -> None:
        self.answers: Answers = {"/v1/chat/completions": REPLY, "/v1/models": httpx.Response(404)}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.get(request.url.path, httpx.Response(404))
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def body(self) -> dict[str, Any]:
        body = json.loads(self.asked[-1].content)
        assert isinstance(body, dict)
        return body


class Socket(asyncio.Transport):
    """A connection to a Server."""

    def __init__(self, url: httpx.URL, server: Server, exchange: HttpExchange) -> None:
        super().__init__()
        self._url = url
        self._server = server
        self._exchange = exchange

    def write(self, data: bytes | bytearray | memoryview) -> None:
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        method, path, _ = first.decode().split()
        headers = dict(line.split(b": ", 1) for line in lines)
        answer = self._server(httpx.Request(method, self._url.join(path), headers=headers, content=body))
        content_type = answer.headers.get("content-type", "").encode()
        said = b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n" % (answer.status_code, len(answer.content))
        said += b"Connection: close\r\n"
        said += b"Content-Type: %b\r\n" % content_type if content_type else b""
        self._exchange.data_received(said + b"\r\n" + answer.content)

    def resume_reading(self) -> None:
        pass

    def abort(self) -> None:
        pass


def transport_to(server: Server, url: str = "http://llama:8080", **options: Any) -> LlamaTransport:
    async def connect(url: httpx.URL, connect_s: float | None, read_s: float | None) -> HttpExchange:
        exchange = HttpExchange(asyncio.get_running_loop(), read_s)
        exchange.connection_made(Socket(url, server, exchange))
        return exchange

    return LlamaTransport(url, connect=connect, **options)
