"""Makes the end of a gateway: no new replies, the end of the running ones, then of what delays the server."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from gateway.contract.transport import Transport
from gateway.core.runs import Runs
from gateway.settings import Settings


def drain_of(
    settings: Settings,
    transports: Mapping[str, Transport],
    runs: Runs,
    before_stop: Sequence[Callable[[], Awaitable[None]]],
) -> Callable[[asyncio.Event], Awaitable[None]]:
    """Return `drain` of gateway.assembly.Assembled. before_stop: called when the last reply has ended."""

    async def drain(hurry: asyncio.Event) -> None:
        for transport in transports.values():
            transport.abilities.drain()
        await runs.drain(settings.drain_s, hurry)
        for close in before_stop:
            await close()

    return drain
