"""The open sockets of rooms: those whose credentials are no longer valid are closed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.core.key_ring import Caller

CHECKED_EVERY_S = 2.0


class RoomConnection(Protocol):
    caller: Caller

    def end(self, reason: str) -> None:
        """Close the connection soon."""
        ...


class RoomConnections:
    def __init__(self) -> None:
        self._all: set[RoomConnection] = set()

    def __len__(self) -> int:
        return len(self._all)

    def add(self, connection: RoomConnection) -> None:
        self._all.add(connection)

    def discard(self, connection: RoomConnection) -> None:
        self._all.discard(connection)

    def check(self, stands: Callable[[Caller], bool]) -> None:
        """Close the connections whose caller does not stand."""
        for connection in [each for each in self._all if not stands(each.caller)]:
            connection.end("The API key, ticket or token is no longer valid.")

    async def run(
        self,
        stands: Callable[[Caller], bool],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Check all connections again and again, until cancelled."""
        while True:
            await sleep(CHECKED_EVERY_S)
            self.check(stands)
