"""Clients that have not joined a namespace yet: they need no credentials, so their number is limited."""

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from gateway.web.http.asgi import Scope

MAX_STRANGERS = 10_000
"""Maximum number of all of them. Further clients are refused."""

MAX_OF_ADDRESS = 256
"""Maximum number of one address, of those that came more than YOUNG_S ago."""

YOUNG_S = 1.0
"""All clients of a proxy may come at the same moment: those of the last second are not closed."""


class Stranger(Protocol):
    """scope: the ASGI scope of its handshake."""

    scope: Scope


AnyStranger = TypeVar("AnyStranger", bound=Stranger)


class Strangers(Generic[AnyStranger]):
    """Args:
    on_excess: called with the oldest stranger of an address that has too many; must close it soon.
    address_of: returns the address of a handshake's client.
    clock: seconds, monotonic.
    """

    def __init__(
        self,
        on_excess: Callable[[AnyStranger], None],
        address_of: Callable[[Scope], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_excess = on_excess
        self._address_of = address_of
        self._clock = clock
        self._by_address: dict[str, dict[AnyStranger, float]] = {}
        self._count = 0

    @property
    def is_full(self) -> bool:
        return self._count >= MAX_STRANGERS

    def add(self, stranger: AnyStranger) -> None:
        of_address = self._by_address.setdefault(self._address_of(stranger.scope), {})
        self._count += stranger not in of_address
        of_address[stranger] = self._clock()
        if len(of_address) <= MAX_OF_ADDRESS:
            return
        oldest, came_at = next(iter(of_address.items()))
        if self._clock() - came_at >= YOUNG_S:
            self.discard(oldest)
            self._on_excess(oldest)

    def discard(self, stranger: AnyStranger) -> None:
        """Forget a client that joined a namespace or was closed."""
        address = self._address_of(stranger.scope)
        of_address = self._by_address.get(address, {})
        if of_address.pop(stranger, None) is not None:
            self._count -= 1
            if not of_address:
                del self._by_address[address]
