"""The uvicorn.Server of the gateway: the first signal drains and then stops it, a second one stops it at
once.

uvicorn itself first closes the listener, then waits for open streams without limit or cuts them, and exits
with the signal's code. A gateway with long streams must end the streams first.
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
"""Seconds between updates of the `Date` header."""

LAST_BYTES_S = 1.0
"""Seconds for clients to receive their last bytes after the server has drained."""


class GatewayServer(uvicorn.Server):
    """A server that drains.

    Args:
        drain: awaited after the first signal, while the listener stays open; the server stops when it
            returns. The second signal sets its event, after which it must return at once.
        when_listening: awaited concurrently once the server accepts requests.
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
        try:
            await super().startup(sockets)
        except asyncio.CancelledError:  # a signal came before `serve` captured them
            await self.lifespan.shutdown()
            raise
        if not self.should_exit:  # else a signal came during the start, and uvicorn closes the sockets now
            self._listening.set()

    async def main_loop(self) -> None:
        """Run like uvicorn's, but wake once instead of ten times a second, and stop without delay."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down like uvicorn, but abort connections that have unsent bytes after LAST_BYTES_S."""
        cut = asyncio.get_running_loop().call_later(LAST_BYTES_S, self._cut_off)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut_off(self) -> None:
        # Before uvicorn's own deadline, at which it cancels the rest and logs an error for each.
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle the signals, even if they were inherited as ignored; uvicorn would raise them again at the
        end."""
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
