"""Our uvicorn.Server: the first signal drains and then stops, a second one stops at once.

uvicorn's own way closes the listener first, then waits for open streams for ever or cuts them, and leaves
with the signal's exit code; a gateway of long streams needs the other order.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from types import FrameType

import uvicorn

log = logging.getLogger("sluice.server")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TICK_S = 1.0
"""How often the `Date` header is renewed."""

LAST_BYTES_S = 1.0
"""How long clients have to take what they were sent, once the server has drained."""


class GatewayServer(uvicorn.Server):
    """drain: awaited on the first signal while the listener stays open; the server stops when it returns.
    It gets an event that the second signal sets, and then shall return at once. when_listening: awaited
    beside the server as soon as it takes requests.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        drain: Callable[[asyncio.Event], Awaitable[None]],
        when_listening: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._when_listening = when_listening
        self._listening = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `serve` now, without draining."""
        self.should_exit = True
        self._stopping.set()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(self._drain_when_asked()),
                group.create_task(self._tell_when_listening()),
            ]
            await super().serve(sockets)
            for task in beside:
                task.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    async def main_loop(self) -> None:
        """As uvicorn's, but it wakes once a second instead of ten times, and stops at once."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, but clients who have not taken their last bytes by then are cut off."""
        cut = asyncio.get_running_loop().call_later(LAST_BYTES_S, self._cut_off)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut_off(self) -> None:
        # Sooner than uvicorn's own deadline, at which it cancels what is left and logs an error for each.
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take the signals, also where they were inherited as ignored, and do not raise them again after."""
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        assert self._loop is not None  # noqa: S101 - signals are captured inside serve
        event = self._hurry if self._asked.is_set() else self._asked
        self._loop.call_soon_threadsafe(event.set)

    async def _tell_when_listening(self) -> None:
        await self._listening.wait()
        await self._when_listening()

    async def _drain_when_asked(self) -> None:
        await self._asked.wait()
        log.info("draining: no new replies; a second signal stops at once")
        await self._drain(self._hurry)
        self.stop()
