"""The part of a store that connects a gateway with the other gateways on its database."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.contract.gateways import Gateways
from gateway.contract.signals import Signals
from gateway.store.database_clock import DatabaseClock


async def nothing() -> None:
    """Close nothing."""


@dataclass(frozen=True, slots=True)
class Membership:
    """One gateway's signals and its place in the list.

    Attributes:
        gateways: None on SQLite, where a gateway is alone.
        clock: corrected at each renewal of the gateway's row.
        close: closes their connection.
    """

    signals: Signals
    gateways: Gateways | None = None
    clock: DatabaseClock = field(default_factory=DatabaseClock)
    close: Callable[[], Awaitable[None]] = nothing
