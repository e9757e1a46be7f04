"""A TCP proxy that cuts off its clients in the middle of their answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress


class CuttingProxy:
    """cuts: number of bytes of its answer after which each connection ends, in order; later ones are not cut.

    At 0 the gateway has the request and has begun its answer, of which nothing arrives.
    cut_off: set when the first connection was cut.
    """

    def __init__(self, host: str, port: int, cuts: Sequence[int]) -> None:
        self._address = host, port
        self._cuts = list(cuts)
        self.cut_off = asyncio.Event()
        self.url = ""
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def cuts_left(self) -> int:
        return len(self._cuts)

    def accept(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.ensure_future(self._serve(incoming, outgoing)))

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        room = self._cuts.pop(0) if self._cuts else None
        answers, requests = await asyncio.open_connection(*self._address)
        asking = asyncio.create_task(_forward(incoming, requests))
        try:
            await _forward(answers, outgoing, room)
            self.cut_off.set()
        finally:
            asking.cancel()
            for writer in (requests, outgoing):
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()


async def _forward(
    incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter, room: int | None = None
) -> None:
    with suppress(ConnectionError):
        if room == 0:
            await incoming.read(1)
        while room != 0 and (received := await incoming.read(65536 if room is None else room)):
            if room is not None:
                room -= len(received)
            outgoing.write(received)
            await outgoing.drain()


@asynccontextmanager
async def cutting_proxy(host: str, port: int, cuts: Sequence[int]) -> AsyncIterator[CuttingProxy]:
    proxy = CuttingProxy(host, port, cuts)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        try:
            yield proxy
        finally:
            await proxy.close()
