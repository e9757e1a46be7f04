"""A TCP proxy to the first of several brokers that takes connections, as a load balancer does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from gateway.contract.record import replace
from transports.mqtt.link.link import BrokerAddress


@asynccontextmanager
async def first_of(addresses: Sequence[BrokerAddress]) -> AsyncIterator[BrokerAddress]:
    """Return the address of the proxy, with the credentials of the first."""
    serving: set[asyncio.Task[None]] = set()

    def accept(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(_serve(addresses, incoming, outgoing)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        try:
            yield replace(addresses[0], port=server.sockets[0].getsockname()[1])
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


async def _serve(
    addresses: Sequence[BrokerAddress], incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter
) -> None:
    for address in addresses:
        with suppress(OSError):
            answers, requests = await asyncio.open_connection(address.host, address.port)
            break
    else:
        outgoing.close()
        return
    directions = [
        asyncio.ensure_future(_forward(incoming, requests)),
        asyncio.ensure_future(_forward(answers, outgoing)),
    ]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        for writer in (requests, outgoing):
            writer.close()
        await asyncio.gather(*directions, return_exceptions=True)


async def _forward(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while received := await incoming.read(65536):
            outgoing.write(received)
            await outgoing.drain()
