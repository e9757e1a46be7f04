"""Reads a reply from the HTTP response to a chat completion: a stream, one JSON object, or a refusal."""

import asyncio
import contextlib
from collections.abc import Awaitable

import httpx

from gateway.contract.errors import GatewayError, ProtocolViolation
from gateway.contract.events import Done
from gateway.contract.transport import Hear
from transports.llama.chunk_parser import ChunkParser
from transports.llama.client import whole_body
from transports.llama.failures import in_answer, refusal
from transports.llama.http_exchange import HttpExchange

MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_REFUSAL_BYTES = 64 * 1024
LINGER_S = 1.0
STREAM_TYPES = ("text/event-stream", "text/plain", "application/x-ndjson", "application/octet-stream")


async def reply_in(exchange: HttpExchange, hear: Hear, linger_s: float) -> Done:
    """Push the reply's events to `hear` and return when it is complete; see Transport.answer."""
    if exchange.status != 200:
        raise await refusal_in(exchange)
    content_type = (exchange.header(b"content-type") or "").partition(";")[0].strip().lower()
    if not content_type or content_type in STREAM_TYPES:
        return await _StreamedReply(exchange, hear, linger_s).done()
    if content_type == "application/json" or content_type.endswith("+json"):
        return await _whole_reply(exchange, hear)
    raise ProtocolViolation(f"the model server answered with {content_type}")


class _StreamedReply:
    """Pushes the events of a streamed response, all events of a network read at once."""

    __slots__ = ("_exchange", "_hear", "_linger", "_linger_s", "_parser")

    def __init__(self, exchange: HttpExchange, hear: Hear, linger_s: float) -> None:
        self._exchange = exchange
        self._hear = hear
        self._linger_s = linger_s
        self._linger: asyncio.TimerHandle | None = None
        self._parser = ChunkParser()

    async def done(self) -> Done:
        """Wait until the reply is complete."""
        parser = self._parser
        try:
            with in_answer:
                await self._exchange.push(self._receive)
        finally:
            if self._linger is not None:
                self._linger.cancel()
        if parser.done is None and (events := parser.eof()) and (busy := self._hear(events)) is not None:
            await busy
        return parser.completed()

    def _receive(self, received: bytes) -> Awaitable[None] | None:
        parser, hear = self._parser, self._hear
        events = parser.feed(received)
        busy = hear(events) if events else None
        if parser.done is not None:
            self._exchange.finish()
        elif parser.failure is not None:
            self._exchange.close()
        elif parser.finished and (events or self._linger is None):
            if self._linger is not None:
                self._linger.cancel()
            self._linger = asyncio.get_running_loop().call_later(self._linger_s, self._exchange.close)
        return busy


async def _whole_reply(exchange: HttpExchange, hear: Hear) -> Done:
    """Read a response that is one JSON object, from a server that cannot stream."""
    parser = ChunkParser()
    with in_answer:
        events = parser.whole(await whole_body(exchange, MAX_ANSWER_BYTES))
    if events and (busy := hear(events)) is not None:
        await busy
    return parser.completed()


async def refusal_in(exchange: HttpExchange) -> GatewayError:
    """Return the error of a response whose status is not 200."""
    body = b""
    with contextlib.suppress(httpx.RequestError, ProtocolViolation):  # the status is enough
        body = await whole_body(exchange, MAX_REFUSAL_BYTES)
    return refusal(exchange.status, exchange.header(b"retry-after"), body)
