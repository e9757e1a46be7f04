"""Closes the connection of a client that is still sending, without losing its response.

If a socket is closed while data is unread, the kernel sends a reset, and the client may lose a response that
it has not read yet. Source: RFC 9112, 9.6.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

MAX_DROPPED_BYTES = 256 * 1024 * 1024
MAX_DROPPED_HEAD_BYTES = 1024 * 1024
SILENCE_S = 5.0
MAX_S = 30.0


class LingeringClose:
    """Ends the response at once and drops what the client still sends.

    Calls `close` when more than `max_bytes` have arrived, when nothing has arrived for SILENCE_S, and after
    MAX_S. If the client closes its side first, asyncio closes the connection.

    Args:
        transport: of the client's connection. Nothing may be written to it afterwards.
        max_bytes: to drop.
        close: closes the connection.
    """

    __slots__ = ("_close", "_dropped", "_ends_at", "_left", "_loop", "_timer")

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        max_bytes: int,
        close: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._left = max_bytes
        self._close = close
        self._dropped = False
        self._ends_at = loop.time() + MAX_S
        if transport.can_write_eof():  # TLS cannot; its client knows the response's length
            with suppress(OSError):  # the client has reset the connection, and asyncio does not know it yet
                transport.write_eof()
        self._timer = loop.call_later(SILENCE_S, self._look)

    def drop(self, data: bytes) -> None:
        """Count data that arrived."""
        self._dropped = True
        self._left -= len(data)
        if self._left < 0:
            self.cancel()
            self._close()

    def cancel(self) -> None:
        """Call it when the connection is lost."""
        self._timer.cancel()

    def _look(self) -> None:
        if not self._dropped or self._loop.time() >= self._ends_at:
            self._close()
        else:
            self._dropped = False
            self._timer = self._loop.call_later(SILENCE_S, self._look)
