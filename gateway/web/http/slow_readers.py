"""Closes connections of clients that do not read their responses."""

import asyncio
import socket
import struct

_DROP_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER value that drops unsent data: otherwise the kernel keeps up to megabytes after close."""


def drop_unsent(transport: asyncio.Transport) -> None:
    """Close the connection at once, without the data that the client has not received."""
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_AT_ONCE)
    transport.abort()


class SlowReaders:
    """The limit for clients that do not read, and how often it was reached.

    timeout_s: maximum seconds for which a client may read nothing of its response.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.cut = 0


class SendDeadline:
    """Aborts a connection if its send buffer does not shrink for the time of `slow_readers`.

    Use it only while nothing is written: while writing is paused, and after `transport.close()`.
    """

    __slots__ = ("_loop", "_slow_readers", "_timer", "_transport", "_waiting_bytes")

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, slow_readers: SlowReaders
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._slow_readers = slow_readers
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        if self._timer is None:
            self._waiting_bytes = self._transport.get_write_buffer_size()
            self._timer = self._loop.call_later(self._slow_readers.timeout_s, self._look)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        waiting_bytes = self._transport.get_write_buffer_size()
        if waiting_bytes and waiting_bytes >= self._waiting_bytes:
            self._slow_readers.cut += 1
            drop_unsent(self._transport)
        elif waiting_bytes:
            self.begin()
