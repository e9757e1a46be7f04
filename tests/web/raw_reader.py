"""A client on a bare socket: it can stop reading, close in mid-frame, or reset the connection."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, Self

import httptools
import httpx

from tests.web.event_source import EventSource
from tests.web.gateway_server import STREAM

_READ_BYTES = 16 * 1024


class RawReader:
    """One connection. source: receives the complete frames. over: the response has ended."""

    def __init__(self, source: EventSource) -> None:
        self.source = source
        self.headers: dict[str, str] = {}
        self.over = False
        self._body_bytes = 0
        self._room: int | None = None
        self._half = bytearray()
        self._parser = httptools.HttpResponseParser(self)
        self._incoming: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    @property
    def stream_id(self) -> str:
        return self.headers["sluice-stream-id"]

    async def ask(self, request: httpx.Request, receive_buffer_bytes: int | None) -> None:
        """Connect and send the request, without reading."""
        raw = socket.socket()
        raw.setblocking(False)
        if receive_buffer_bytes is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        try:
            await asyncio.get_running_loop().sock_connect(raw, (request.url.host, request.url.port))
        except BaseException:
            raw.close()
            raise
        # The stream buffers no more than this while the test does not read.
        self._incoming, self._writer = await asyncio.open_connection(sock=raw, limit=_READ_BYTES)
        lines = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1".encode()]
        lines += [name + b": " + value for name, value in request.headers.raw]
        self._writer.write(b"\r\n".join([*lines, b"", request.read()]))

    async def read(self, until: Callable[[], bool] = lambda: False, *, room: int | None = None) -> None:
        """Read until the response ends, or `until` holds, or `room` bytes of the body have arrived."""
        self._room = None if room is None else self._body_bytes + room
        while not (self.over or until() or self._body_bytes == self._room):
            try:
                received = await self._incoming.read(_READ_BYTES)
            except ConnectionError:
                received = b""
            if received:
                self._parser.feed_data(received)
            else:
                self.over = True

    async def begin(self) -> None:
        """Read until the first text."""
        await self.read(lambda: self.source.begun)

    async def reset(self) -> None:
        """Close as a crashed process does: the server gets an RST."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        await self._closed()

    async def close(self) -> None:
        self._writer.close()
        await self._closed()

    async def _closed(self) -> None:
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # the server closed first

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        if self._room is not None:
            body = body[: self._room - self._body_bytes]
        self._body_bytes += len(body)
        self._half += body
        end = self._half.rfind(b"\n\n", -len(body) - 1)
        if end >= 0:
            self.source.take(bytes(self._half[: end + 2]))
            del self._half[: end + 2]

    def on_message_complete(self) -> None:
        self.source.take(bytes(self._half))  # `retry:` counts without a blank line
        self.over = True


class RawClient:
    """Opens RawReaders to the gateway at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._readers: list[RawReader] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for reader in self._readers:
            await reader.close()

    async def ask(self, content: str, *, receive_buffer_bytes: int | None = None, **more: Any) -> RawReader:
        """Request a stream, without reading."""
        request = httpx.Request("POST", self._url + STREAM, json={"content": content, **more})
        return await self._ask(EventSource(), request, receive_buffer_bytes)

    async def come_back(
        self, stream_id: str, source: EventSource, *, receive_buffer_bytes: int | None = None
    ) -> RawReader:
        """Reconnect behind the last id of `source`, without reading."""
        headers = {} if source.last_id is None else {"last-event-id": source.last_id}
        request = httpx.Request("GET", f"{self._url}{STREAM}/{stream_id}", headers=headers)
        return await self._ask(source, request, receive_buffer_bytes)

    async def _ask(
        self, source: EventSource, request: httpx.Request, receive_buffer_bytes: int | None
    ) -> RawReader:
        reader = RawReader(source)
        await reader.ask(request, receive_buffer_bytes)
        self._readers.append(reader)
        return reader
