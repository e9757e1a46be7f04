"""The packets that wait for the next long poll of a client."""

import asyncio
from collections.abc import Callable

from engineio.packet import Packet

from gateway.web.sockets.room_writer import MAX_WAITING_BYTES


class PollQueue:
    """It is to long polls what RoomWriter is to WebSockets.

    Args:
        queue: python-engineio's, from which polls take.
        on_slow: called instead of queueing a packet if too many bytes wait.
    """

    __slots__ = ("_bytes", "_catching_up", "_may_wait", "_on_slow", "_queue", "_until_polled")

    def __init__(self, queue: asyncio.Queue[Packet | None], on_slow: Callable[[], None]) -> None:
        self._queue = queue
        self._on_slow = on_slow
        self._bytes, self._may_wait = 0, MAX_WAITING_BYTES
        self._catching_up = False
        self._until_polled: asyncio.Future[None] | None = None

    def put(self, packet: Packet) -> None:
        size = len(packet.data or "")
        if self._catching_up:
            self._may_wait += size
        elif self._bytes > self._may_wait:
            self._on_slow()
            return
        self._bytes += size
        self._queue.put_nowait(packet)

    async def begin_catching_up(self) -> None:
        """Wait until most was polled, or `emptied` is called. Packets until the end do not count."""
        if self._bytes > MAX_WAITING_BYTES / 4:
            self._until_polled = asyncio.get_running_loop().create_future()
            await self._until_polled
        self._catching_up = True

    def end_catching_up(self) -> None:
        self._catching_up = False

    def take(self) -> list[Packet]:
        """Return the packets that wait."""
        packets: list[Packet] = []
        while not self._queue.empty():
            packet = self._queue.get_nowait()
            if packet is not None:
                packets.append(packet)
        self.emptied()
        return packets

    def close(self) -> None:
        """No packet will be put any more."""
        self.emptied()
        self._on_slow = _nothing

    def emptied(self) -> None:
        """All packets were taken, or will never be."""
        self._bytes, self._may_wait = 0, MAX_WAITING_BYTES
        if self._until_polled is not None and not self._until_polled.done():
            self._until_polled.set_result(None)


def _nothing() -> None:
    """Take the place of a bound method: with it, its owner would be collected seldom."""
