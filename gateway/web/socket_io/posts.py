"""The POSTs of a client of long polls."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.contract.errors import BadRequest

MAX_PACKET_BYTES = 128 * 1024
"""Maximum size of a packet from the client, and of all packets of one POST."""

MAX_PACKETS_OF_POST = 100

_SEPARATOR = "\x1e"


class BadPacket(BadRequest):
    """The client does not speak the protocol: its connection is closed."""

    code = "bad_frame"


class ArrivingPost:
    """The POST of which a part has arrived. Clients send one at a time."""

    def __init__(self) -> None:
        self._reading: asyncio.Timeout | None = None

    async def read(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the body that `read` returns.

        Raises BadPacket if another POST is arriving, and if `end` is called before all of this one has.
        """
        if self._reading is not None:
            raise BadPacket("The POST before this one has not arrived yet.")
        try:
            async with asyncio.timeout(None) as self._reading:
                return await read()
        except TimeoutError:
            raise BadPacket("The connection was closed before the whole POST arrived.") from None
        finally:
            self._reading = None

    def end(self) -> None:
        """The client's connection is closed."""
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())


def packets_of(body: str) -> list[str]:
    """Return the packets of a POST. Raises BadPacket."""
    packets = body.split(_SEPARATOR) if body else []
    if len(packets) > MAX_PACKETS_OF_POST:
        raise BadPacket(f"A POST may have {MAX_PACKETS_OF_POST} packets.")
    return packets
