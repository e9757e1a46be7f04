"""Server-Sent Events to one client: response head, heartbeats, backpressure and end."""

import asyncio
import logging
import random
from collections.abc import Sequence

from gateway.contract.held_news import HeldNews
from gateway.dialects.sse_frames import PING, retry_line
from gateway.web.http.asgi import Connection, Send

log = logging.getLogger("sluice.web")

Headers = Sequence[tuple[bytes, bytes]]

MEDIA_TYPE = "text/event-stream; charset=utf-8"
_UNBUFFERED = [(b"cache-control", b"no-cache, no-transform"), (b"x-accel-buffering", b"no")]


RETRY_MS = (500, 3000)
"""Range of the random time after which readers reconnect, so that they spread."""


def stream_headers(media_type: str = MEDIA_TYPE) -> list[tuple[bytes, bytes]]:
    """Return the headers of every stream, which disable caches and the buffering of proxies."""
    return [(b"content-type", media_type.encode()), *_UNBUFFERED]


async def send_pause(send: Send, media_type: str = MEDIA_TYPE) -> None:
    """Answer with a stream without events, after which the client reconnects."""
    await send({"type": "http.response.start", "status": 200, "headers": stream_headers(media_type)})
    await send({"type": "http.response.body", "body": retry_line(random.randint(*RETRY_MS))})


async def send_head(send: Send, headers: Headers = (), media_type: str = MEDIA_TYPE) -> None:
    """Answer HEAD with the headers of a stream."""
    sent = [*stream_headers(media_type), *headers]
    await send({"type": "http.response.start", "status": 200, "headers": sent})
    await send({"type": "http.response.body", "body": b""})


async def send_nothing_left(send: Send) -> None:
    """Send 204, after which an EventSource does not reconnect."""
    await send({"type": "http.response.start", "status": 204, "headers": [(b"cache-control", b"no-store")]})
    await send({"type": "http.response.body", "body": b""})


class Pulse:
    """Sends a heartbeat on every open stream on which nothing was written for `ping_s` seconds.

    Attributes:
        held: the news of all streams.
        lost: number of streams of replies whose client disconnected before the end.
        resumed: number of streams that began after an event id.
    """

    def __init__(self, ping_s: float, held: HeldNews | None = None) -> None:
        self.ping_s = ping_s
        self.held = held or HeldNews()
        self._streams: set[SseWriter] = set()
        self.lost = self.resumed = 0

    def __len__(self) -> int:
        """The number of open streams."""
        return len(self._streams)

    async def run(self) -> None:
        """Send heartbeats until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, self.ping_s / 4))
            self.beat(loop.time() - self.ping_s)

    def beat(self, silent_since: float) -> None:
        """Send a heartbeat on every stream on which nothing was written since `silent_since` (loop time)."""
        for stream in list(self._streams):
            stream.beat(silent_since)

    def watch(self, stream: "SseWriter") -> None:
        self._streams.add(stream)

    def leave(self, stream: "SseWriter") -> None:
        self._streams.discard(stream)


class SseWriter:
    """Writes events to the client's connection without a task, timer or await for each event.

    A subclass writes all new events in `write_news`, which `hear` calls if the connection is writable. When
    it becomes writable again, `hear` is called again. The connection is aborted if its client reads nothing
    for SEND_TIMEOUT_S seconds.
    """

    __slots__ = (
        "_connection",
        "_held",
        "_is_open",
        "_last",
        "_over",
        "_pulse",
        "_time",
        "_written_at",
        "_wrote",
    )

    def __init__(self, connection: Connection, pulse: Pulse) -> None:
        loop = asyncio.get_running_loop()
        self._connection = connection
        self._pulse = pulse
        self._held = pulse.held
        self._time = loop.time
        self._written_at = loop.time()
        self._wrote = False  # since the last beat
        self._is_open = True  # until the end or a disconnect; asking the future costs each token more
        self._over: asyncio.Future[None] = loop.create_future()
        self._last: bytes | None = None

    @property
    def media_type(self) -> str:
        return MEDIA_TYPE

    @property
    def heartbeat(self) -> bytes:
        """Bytes that are sent after `ping_s` seconds without events; empty if the dialect has none."""
        return PING

    def write_news(self) -> None:
        """Write all new events, if there are any."""
        raise NotImplementedError

    async def begin(self, send: Send, headers: Headers = ()) -> None:
        """Send the response head, and watch the connection. Call `leave` afterwards in any case."""
        sent = [*stream_headers(self.media_type), *headers]
        await send({"type": "http.response.start", "status": 200, "headers": sent})
        self._connection.watch(self)
        self._pulse.watch(self)

    async def put(self, send: Send, body: bytes, *, more: bool = True) -> None:
        """Write bytes outside of `write_news`. Waits while the client reads too slowly."""
        await send({"type": "http.response.body", "body": body, "more_body": more})
        self._wrote = True

    async def until_over(self, send: Send) -> None:
        """Write events until `end` is called or the client disconnects. Call `hear` first."""
        await self._over
        if self._last is not None:
            await self.put(send, self._last, more=False)

    @property
    def is_over(self) -> bool:
        return self._over.done()

    def leave(self) -> None:
        self._connection.watch(None)
        self._pulse.leave(self)

    def hear(self) -> None:
        """Write all new events if the connection is writable, or later if news are held. Call this whenever
        there may be new ones."""
        waiting = self._held.waiting
        if waiting is not None:
            waiting[self] = None
            return
        if not (self._is_open and self._connection.writable):
            return
        try:
            self.write_news()
        except Exception:
            # The run calls this: a bug in one reader's encoder must not end the run for all readers.
            log.exception("a stream could not be written")
            self._connection.abort()

    def write(self, body: bytes) -> None:
        self._connection.write_chunk(body)
        self._wrote = True

    def end(self, last: bytes) -> None:
        """End the stream: `until_over` writes `last`, which may be empty, and returns."""
        if not self._over.done():
            self._last = last
            self._is_open = False
            self._over.set_result(None)

    def abort(self) -> None:
        """Abort the connection, so that the client sees an incomplete response."""
        self._connection.abort()

    def beat(self, silent_since: float) -> None:
        """Send a heartbeat, if writable and nothing was written since `silent_since` (loop time)."""
        if self._wrote:  # `write` notes no time: that would cost each token 2 %
            self._wrote, self._written_at = False, self._time()
        if not self._connection.writable or self._over.done():
            return
        if self._written_at <= silent_since and self.heartbeat:
            self.write(self.heartbeat)

    def connection_lost(self) -> None:
        if not self._over.done():
            self._is_open = False
            self._over.set_result(None)

    def connection_writable(self) -> None:
        self.hear()
