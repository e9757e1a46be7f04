"""Parses what a client sends some chunks at a time, so that other clients get their turn between them.

A read of 256 KiB can be 43,000 chunks of one byte, each of which costs a call, and the server reads several
times before it does anything else.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PIECE_BYTES = 4096
"""Bytes that are parsed at a time."""
MAX_CHUNKS_IN_TURN = 256
"""Pieces of a body after which other clients get their turn."""


class HeldFlow(FlowControl):
    """Does not read while data waits to be parsed."""

    held = False

    def resume_reading(self) -> None:
        if self.held:
            self.read_paused = False
        else:
            super().resume_reading()

    def hold(self) -> None:
        if not self._transport.is_closing():
            self.held = True
            self._transport.pause_reading()

    def release(self) -> None:
        if self.held:
            self.held = False
            if not self.read_paused and not self._transport.is_closing():
                self._transport.resume_reading()


class ParsingTurns(HttpToolsProtocol):
    """Override `parse` to see each piece."""

    __slots__ = ("_chunks_in_turn", "_next_turn", "_unparsed")

    flow: HeldFlow

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._unparsed = b""
        self._next_turn: asyncio.Handle | None = None
        self._chunks_in_turn = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self.flow = HeldFlow(transport)

    def data_received(self, data: bytes) -> None:
        self._unparsed += data
        if self._next_turn is None:
            self._take_turn()

    @property
    def has_many_chunks(self) -> bool:
        """True if this turn of the loop has taken enough of them."""
        return self._chunks_in_turn >= MAX_CHUNKS_IN_TURN

    def parse(self, data: bytes) -> None:
        super().data_received(data)

    def on_body(self, body: bytes) -> None:
        self._chunks_in_turn += 1
        super().on_body(body)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
        super().connection_lost(exc)

    def _take_turn(self) -> None:
        unparsed, at = self._unparsed, 0
        self._next_turn, self._chunks_in_turn = None, 0
        while at < len(unparsed) and not self.has_many_chunks:
            self.parse(unparsed[at : at + PIECE_BYTES])
            at += PIECE_BYTES
        self._unparsed = unparsed[at:]
        if self._unparsed:
            self._next_turn = self.loop.call_soon(self._take_turn)
            self.flow.hold()
        else:
            self.flow.release()
