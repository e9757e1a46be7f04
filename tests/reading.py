"""A reply's events as a stream to iterate over, for tests that look at one batch after the other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gateway.contract.events import Done, TransportEvent
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Transport

Batch = Sequence[TransportEvent | Done]
Batches = AsyncIterator[Batch]


@asynccontextmanager
async def reading(transport: Transport, request: ChatRequest) -> AsyncIterator[Batches]:
    """Let `transport` answer for as long as the block lasts; leaving it is the stop.

    Each batch is what one call of `hear` got; Done comes last, after what came in one piece with it.
    An error of `answer` is raised where the batches end.
    """
    pushed: asyncio.Queue[Batch] = asyncio.Queue()
    answering = asyncio.ensure_future(_answer(transport, request, pushed))
    await asyncio.sleep(0)  # it has begun when the block begins
    try:
        yield _batches(pushed, answering)
    finally:
        answering.cancel()
        await asyncio.wait([answering])
        if not answering.cancelled():
            answering.exception()  # where the batches end, it is raised


async def _answer(transport: Transport, request: ChatRequest, pushed: asyncio.Queue[Batch]) -> None:
    def hear(events: Sequence[TransportEvent]) -> None:
        assert events, "an empty batch was pushed"
        pushed.put_nowait(list(events))

    done = await transport.answer(request, hear)
    pushed.put_nowait([*(done.whole or ()), done])


async def _batches(pushed: asyncio.Queue[Batch], answering: asyncio.Future[None]) -> Batches:
    while True:
        if pushed.empty():
            getting = asyncio.ensure_future(pushed.get())
            waiting: list[asyncio.Future[Any]] = [getting, answering]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done() and pushed.empty():
                    answering.result()
                    return
                batch = await getting
            finally:
                getting.cancel()
        else:
            batch = pushed.get_nowait()
        yield batch
        if isinstance(batch[-1], Done):
            return


async def events_of(transport: Transport, request: ChatRequest) -> list[TransportEvent | Done]:
    """All events of one reply, Done last."""
    async with reading(transport, request) as batches:
        return [event async for batch in batches for event in batch]
