"""Receives a stream that llama.cpp keeps, over as many connections as it takes."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.contract.errors import GatewayError, TransportError, Unreachable, UpstreamFailed
from gateway.contract.events import Done
from gateway.contract.reattach import Reattach, Reattachable
from gateway.contract.transport import Hear
from transports.llama.failures import before_answer, broke_off
from transports.llama.http_exchange import HttpExchange
from transports.llama.kept_streams import KeptStreams, OffsetLost
from transports.llama.replies import CountedReply, KeptReading

EMPTY_PAUSE_S = 1.0
"""Seconds before a stream is followed again that ended cleanly without a new byte."""
AWAY_S, AWAY_PAUSE_S = 3.0, 0.1
"""Seconds within which a server that cannot be reached may be back, and between two attempts: a proxy or a
tunnel in between may start anew."""


class ContinuedStream:
    """Pushes the events of one stream from its beginning, or from the stored offset if that was dropped.

    Args:
        streams: of the server.
        id: the conversation id.
        wanted: the request.
        hear: gets the events.
        linger_s: see LlamaTransport.
    """

    def __init__(
        self,
        streams: KeptStreams,
        id: str,
        wanted: Reattach,
        hear: Hear,
        linger_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._streams = streams
        self._id = id
        self._wanted = wanted
        self._sleep = sleep
        self._reply = CountedReply(hear, linger_s)
        wanted.reattachable.at_checkpoints(self._reply.now)

    async def done(self, found: Callable[[], None]) -> Done:
        """Return when the reply is complete. Raises as Abilities.reattach.

        found: called when the server begins to send the stream.
        """
        await self._streams.find(self._id)
        reply = self._reply
        while True:
            before = reply.offset
            try:
                exchange = await self._streams.follow(self._id, reply.offset)
            except OffsetLost:
                self._go_to_checkpoint()
                continue
            found()
            try:
                if await reply.read_to_end(exchange):
                    return reply.parser.completed()
            finally:
                exchange.close()
            # A clean end without `[DONE]`: we were too slow, or the stream was stopped.
            if reply.offset == before:
                await self._sleep(EMPTY_PAUSE_S)
            await self._streams.find(self._id)

    def _go_to_checkpoint(self) -> None:
        offset = self._wanted.handle.get("offset")
        if self._reply.offset or not isinstance(offset, int) or offset <= 0:
            raise broke_off(UpstreamFailed("the model server has dropped a part of the reply"))
        self._wanted.begins_at_checkpoint()
        self._reply.begin_at(offset)


async def begun_over_losses(streams: KeptStreams, id: str, asked: Awaitable[HttpExchange]) -> HttpExchange:
    """Return the response to a request. If its connection breaks before, as it may while the request waits
    for a slot, return the stream that the server keeps: it begins the same.

    Raises the error of the loss if the server cannot be reached or does not have the stream.
    """
    try:
        with before_answer:
            return await asked
    except UpstreamFailed as lost:
        try:
            await streams.find(id)
            return await streams.follow(id, 0)
        except (GatewayError, OffsetLost) as gone:
            raise lost from gone


def read_over_losses(streams: KeptStreams, kept: Reattachable) -> KeptReading:
    """Return the function that reads a reply as `done_over_losses` does."""

    async def read(reply: CountedReply, exchange: HttpExchange) -> Done:
        kept.at_checkpoints(reply.now)
        return await done_over_losses(streams, kept.conversation_id, reply, exchange)

    return read


async def done_over_losses(
    streams: KeptStreams,
    id: str,
    reply: CountedReply,
    exchange: HttpExchange,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Done:
    """Return when the reply is complete. If its connection is lost, or silent for too long, go on over
    another one.

    Raises the error of the loss if the server does not have the stream any more, or cannot be reached: for
    AWAY_S if readers have seen something, since no other server may be asked then.

    Args:
        streams: of the server.
        id: the conversation id.
        reply: nothing of it was read yet.
        exchange: the response to its request.
        sleep: before a connection after one that brought nothing.
    """
    while True:
        before, lost = reply.offset, None
        try:
            if await reply.read_to_end(exchange):
                return reply.parser.completed()
        except TransportError as error:
            if not error.broke_off:
                raise
            lost = error
        finally:
            exchange.close()
        try:
            await _find_again(streams, id, AWAY_S if reply.parser.spoke else 0.0, sleep)
            if reply.offset == before:
                await sleep(EMPTY_PAUSE_S)
            exchange = await streams.follow(id, reply.offset)
        except (GatewayError, OffsetLost) as gone:
            if lost is not None:
                raise lost from gone
            await reply.end()
            return reply.parser.completed()  # which raises


async def _find_again(
    streams: KeptStreams, id: str, within_s: float, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """As KeptStreams.find. A server that cannot be reached is asked again for `within_s`."""
    clock = asyncio.get_running_loop()
    give_up_at = clock.time() + within_s
    while True:
        try:
            return await streams.find(id)
        except Unreachable:
            if clock.time() >= give_up_at:
                raise
        await sleep(AWAY_PAUSE_S)
