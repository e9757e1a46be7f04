"""Parses what a client sends some pieces at a time, so that other clients get their turn between them.

A read of 256 KiB can be 43,000 chunks or frames, each of which costs a call, and the event loop reads up to
32 times from one client before it does anything else.
"""

import asyncio
from typing import Any

PIECE_BYTES = 1024
"""Bytes that are parsed at a time: up to 170 parts."""
MAX_PARTS = 64
"""Chunks of a body or frames after which other clients get their turn."""
LARGE_READ_BYTES = 64 * 1024
"""After a read of this size, other clients get their turn, whatever it holds."""


class ParsingTurns(asyncio.Protocol):
    """A base class to name before uvicorn's protocol, which parses. Count the parts in its callbacks.

    Attributes:
        parts: number of chunks or frames since the last read, of those that do not fill a piece.
        read_paused: True if uvicorn does not want to read.
    """

    __slots__ = ("_at", "_next_turn", "_unparsed", "parts", "read_paused")

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._unparsed, self._at = b"", 0
        self._next_turn: asyncio.Handle | None = None
        self.parts = 0
        self.read_paused = False

    @property
    def waits(self) -> bool:
        """True if data waits to be parsed. Nothing is read meanwhile."""
        return self._next_turn is not None

    @property
    def unparsed_bytes(self) -> int:
        """Bytes that wait to be parsed."""
        return max(0, len(self._unparsed) - self._at)

    def data_received(self, data: bytes) -> None:
        if self.waits:
            self._unparsed, self._at = self._unparsed[self._at :] + data, 0
        else:
            self._unparsed, self._at, self.parts = data, 0, 0
            self._take_turn()

    def parse(self, piece: bytes) -> None:
        """Override it to do nothing once the connection is closing."""
        super().data_received(piece)

    def pause_reading(self) -> None:
        self.read_paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again, unless data waits."""
        self.read_paused = False
        if not self.waits:
            self.transport.resume_reading()

    def hold(self) -> None:
        """Do not read if data waits."""
        if self.waits:
            self.transport.pause_reading()

    def _take_turn(self) -> None:
        data, was_held = self._unparsed, self.waits
        self._next_turn, enough = None, self.parts + MAX_PARTS
        while self._at < len(data) and self.parts < enough:
            at, self._at = self._at, self._at + PIECE_BYTES
            self.parse(data[at : self._at])
        if self._at < len(data) or (len(data) >= LARGE_READ_BYTES and not was_held):
            self._next_turn = self.loop.call_soon(self._take_turn)
            self.hold()
            return
        self._unparsed = b""
        if was_held and not self.read_paused:
            self.resume_reading()
