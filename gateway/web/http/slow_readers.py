"""Clients that take nothing of their answer are cut off, whatever the answer is."""

import asyncio
import socket
import struct

_DROP_AT_ONCE = struct.pack("ii", 1, 0)
"""For SO_LINGER: the kernel would go on offering what it has, up to megabytes, long after we have closed."""


class SendDeadline:
    """Aborts a connection whose client takes nothing for `timeout_s` of what waits to be sent to it.

    Only for times in which nothing more is written: while writing is paused, and once the transport closes.
    """

    __slots__ = ("_loop", "_timeout_s", "_timer", "_transport", "_waiting_bytes")

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, timeout_s: float
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._timeout_s = timeout_s
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        if self._timer is None:
            self._waiting_bytes = self._transport.get_write_buffer_size()
            self._timer = self._loop.call_later(self._timeout_s, self._look)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        waiting_bytes = self._transport.get_write_buffer_size()
        if waiting_bytes and waiting_bytes >= self._waiting_bytes:
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_AT_ONCE)
            self._transport.abort()
        elif waiting_bytes:
            self.begin()
