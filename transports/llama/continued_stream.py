"""Receives a stream that llama.cpp keeps, over as many connections as it takes."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Done
from gateway.contract.reattach import Reattach
from gateway.contract.transport import Hear
from transports.llama.failures import broke_off
from transports.llama.kept_streams import KeptStreams, OffsetLost
from transports.llama.replies import CountedReply

EMPTY_PAUSE_S = 1.0
"""Seconds before a stream is followed again that ended cleanly without a new byte."""


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
                is_over = await reply.read(exchange)
                if not is_over and reply.parser.finished:
                    await reply.end()
                if is_over or reply.parser.finished:
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
