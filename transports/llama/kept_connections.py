"""Connections to one model server that wait for their next request."""

import asyncio

from gateway.contract.deadlines import Deadlines

KEEP_S = 4.0
"""Seconds for which a connection waits. Most servers close one after 5 s or later."""

PROOF_S = 1.0
TRY_AGAIN_S = 60.0
MOST = 128


class KeptConnections:
    """Keeps connections between requests, if the server does.

    llama.cpp announces Keep-Alive but closes the connection after every stream. So the first connection is
    only watched: if the server leaves it open for PROOF_S, later requests use it and others again. If not,
    the next one is watched TRY_AGAIN_S later.

    proven: the server has left a connection open.
    """

    def __init__(self, *, proof_s: float = PROOF_S, keep_s: float = KEEP_S) -> None:
        self._proof_s = proof_s
        self._waiting: list[_Waiting] = []
        self._ages: Deadlines[_Waiting] = Deadlines(keep_s, self._age)
        self._closing_until = 0.0
        self.proven = False

    @property
    def closing(self) -> bool:
        """True if the server has closed a connection that it was to keep, in the last TRY_AGAIN_S."""
        return asyncio.get_running_loop().time() < self._closing_until

    def keep(self, transport: asyncio.Transport) -> None:
        """Take over a connection whose response is complete, and close it if it is not needed."""
        needed = len(self._waiting) < MOST if self.proven else not (self._waiting or self.closing)
        if not needed:
            transport.abort()
            return
        one = _Waiting(self, transport)
        self._waiting.append(one)
        if self.proven:
            self._ages.add(one)
        else:
            asyncio.get_running_loop().call_later(self._proof_s, self._prove, one)

    def take(self) -> asyncio.Transport | None:
        """Return the connection that was used last, for one request; None if there is none."""
        while self.proven and self._waiting:
            one = self._waiting.pop()
            self._ages.remove(one)
            if not one.transport.is_closing():
                return one.transport
        return None

    def close(self) -> None:
        """Close all connections."""
        while self._waiting:
            one = self._waiting.pop()
            self._ages.remove(one)
            one.transport.abort()

    def lost(self, one: "_Waiting", waited_s: float) -> None:
        """It is closed, by the server unless it was taken or closed here."""
        if one not in self._waiting:
            return
        self._waiting.remove(one)
        self._ages.remove(one)
        if waited_s < self._proof_s:
            self.proven = False
            self._closing_until = asyncio.get_running_loop().time() + TRY_AGAIN_S
            self.close()

    def _prove(self, one: "_Waiting") -> None:
        """The server has left the first connection open for PROOF_S."""
        if one in self._waiting:
            self.proven = True
            self._ages.add(one)

    def _age(self, one: "_Waiting") -> None:
        self._waiting.remove(one)
        one.transport.abort()


class _Waiting(asyncio.Protocol):
    """One connection without a request, which somebody takes by setting another protocol."""

    __slots__ = ("_kept", "_loop", "_since", "transport")

    def __init__(self, kept: KeptConnections, transport: asyncio.Transport) -> None:
        self._kept = kept
        self.transport = transport
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        self.transport.abort()  # nothing was asked

    def connection_lost(self, exc: Exception | None) -> None:
        self._kept.lost(self, self._loop.time() - self._since)
