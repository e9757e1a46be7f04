"""Reads a reply from the HTTP response to a chat completion: a stream, one JSON object, or a refusal."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx

from gateway.contract.errors import GatewayError, ProtocolViolation, UpstreamFailed
from gateway.contract.events import Done
from gateway.contract.reattach import Handle
from gateway.contract.transport import Hear
from transports.llama.chunk_parser import ChunkParser
from transports.llama.client import whole_body
from transports.llama.content_coding import decompressing
from transports.llama.failures import ANSWERED, in_answer, refusal
from transports.llama.http_exchange import HttpExchange

MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_REFUSAL_BYTES = 64 * 1024
LINGER_S = 1.0
_FIRST_TYPE = re.compile("[;,]")
STREAM_TYPES = ("", "text/event-stream", "text/plain", "application/x-ndjson", "application/octet-stream")


KeptReading = Callable[["CountedReply", HttpExchange], Coroutine[Any, Any, Done]]
"""Reads a streamed reply that its server keeps, and returns when it is complete."""


async def reply_in(
    exchange: HttpExchange, hear: Hear, linger_s: float, read_kept: KeptReading | None = None
) -> Done:
    """Push the reply's events to `hear` and return when it is complete; see Transport.answer.

    read_kept: None if the server does not keep the reply.
    """
    if exchange.status not in ANSWERED:
        raise await refusal_in(exchange)
    content_type = _FIRST_TYPE.split(exchange.header(b"content-type") or "", maxsplit=1)[0].strip().lower()
    if content_type in ("application/json", "text/json") or content_type.endswith("+json"):
        return await _whole_reply(exchange, hear)
    if read_kept is None:
        reply = StreamedReply(hear, linger_s)
        done = reply.done(exchange)
    else:
        reply = counted = CountedReply(hear, linger_s)
        done = read_kept(counted, exchange)
    try:
        return await done
    except UpstreamFailed as error:
        if error.broke_off and not reply.parser.spoke and content_type not in STREAM_TYPES:
            raise ProtocolViolation(f"the model server answered with {content_type}") from error
        raise


class StreamedReply:
    """Pushes the events of a streamed response, all events of a network read at once."""

    __slots__ = ("_exchange", "_hear", "_linger", "_linger_s", "parser")

    def __init__(self, hear: Hear, linger_s: float) -> None:
        self._exchange: HttpExchange | None = None
        self._hear = hear
        self._linger_s = linger_s
        self._linger: asyncio.TimerHandle | None = None
        self.parser = ChunkParser()

    async def done(self, exchange: HttpExchange) -> Done:
        """Wait until the reply is complete."""
        if not await self.read(exchange):
            await self.end()
        return self.parser.completed()

    async def read_to_end(self, exchange: HttpExchange) -> bool:
        """As read; a server need not say that a reply is complete which has a finish reason."""
        is_over = await self.read(exchange)
        if not is_over and self.parser.finished:
            await self.end()
        return is_over or self.parser.finished

    async def end(self) -> None:
        """The server sends nothing more. See ChunkParser.eof."""
        if (events := self.parser.eof()) and (busy := self._hear(events)) is not None:
            await busy

    async def read(self, exchange: HttpExchange) -> bool:
        """Read to the response's end. Return True if the reply is complete or has failed."""
        self._exchange = exchange
        try:
            with in_answer:
                try:
                    await exchange.push(decompressing(exchange, self._receive))
                except httpx.RequestError:
                    if not self.parser.finished:
                        raise
        finally:
            if self._linger is not None:
                self._linger.cancel()
                self._linger = None
        return self.parser.done is not None or self.parser.failure is not None

    def _receive(self, received: bytes) -> Awaitable[None] | None:
        parser = self.parser
        events = parser.feed(received)
        busy = self._hear(events) if events else None
        if parser.finished:
            self._leave(more=bool(events))
        return busy

    def _leave(self, *, more: bool) -> None:
        """End the reading: at once, or after a finish reason when `linger_s` have passed without `more`."""
        parser, exchange = self.parser, self._exchange
        assert exchange is not None  # noqa: S101 - it calls _receive
        if parser.done is not None:
            exchange.finish()
        elif parser.failure is not None:
            exchange.close()
        elif more or self._linger is None:
            if self._linger is not None:
                self._linger.cancel()
            self._linger = asyncio.get_running_loop().call_later(self._linger_s, exchange.close)


class CountedReply(StreamedReply):
    """Also counts the bytes of the response's body.

    offset: of the next byte.
    """

    __slots__ = ("offset",)

    def __init__(self, hear: Hear, linger_s: float) -> None:
        super().__init__(hear, linger_s)
        self.offset = 0

    def begin_at(self, offset: int) -> None:
        """Go on in the middle of a reply, at the end of an event."""
        self.offset = offset
        self.parser = ChunkParser(goes_on=True)

    def now(self) -> Handle:
        """Return the offset at which another parser can go on: the end of the latest event."""
        rest = self.parser.unfinished_bytes
        return {"offset": None if rest is None else self.offset - rest}

    def _receive(self, received: bytes) -> Awaitable[None] | None:
        self.offset += len(received)
        return super()._receive(received)


async def _whole_reply(exchange: HttpExchange, hear: Hear) -> Done:
    """Read a response that is one JSON object, from a server that cannot stream."""
    parser = ChunkParser()
    with in_answer:
        events = parser.whole(await whole_body(exchange, MAX_ANSWER_BYTES))
    if events and (busy := hear(events)) is not None:
        await busy
    return parser.completed()


async def refusal_in(exchange: HttpExchange) -> GatewayError:
    """Return the error of a response whose status is not in ANSWERED."""
    body = b""
    with contextlib.suppress(httpx.RequestError, ProtocolViolation):  # the status is enough
        body = await whole_body(exchange, MAX_REFUSAL_BYTES)
    return refusal(exchange.status, (exchange.header(b"retry-after") or "").partition(",")[0], body)
