"""The only connection of a simulated part. It is not made again after a loss."""

import asyncio
from collections.abc import Coroutine

from gateway.contract.errors import UpstreamFailed
from transports.mqtt.link.link import Link

LOST = (
    "The broker closed the part's connection. If it allows each user one connection, as with the shipped "
    "mosquitto.conf, parts cannot be simulated, and the gateway's own connection was lost too."
)


class OneConnection:
    """Watches a link, which must not run yet.

    A broker that lets a user connect only once ends the gateway's connection for the part's, and the part's
    for the gateway's. Without an end of the part they would go on with that.
    """

    def __init__(self, link: Link) -> None:
        self._made, self._lost = asyncio.Event(), asyncio.Event()
        link.watch(self._changed)

    async def made(self) -> None:
        await self._made.wait()

    async def during(self, work: Coroutine[object, object, UpstreamFailed | None]) -> UpstreamFailed | None:
        """Return the outcome of `work`, or the failure of a connection that is lost before."""
        working, lost = asyncio.ensure_future(work), asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({working, lost}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else UpstreamFailed(LOST)
        finally:
            working.cancel()
            lost.cancel()
            await asyncio.wait({working, lost})

    def _changed(self, is_connected: bool) -> None:
        if is_connected:
            self._made.set()
        elif self._made.is_set():
            self._lost.set()
