"""The gateways that run on one database, and the interface of their list."""

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

DEAD_S = 3.0
"""Seconds without a renewal after which a gateway is dead, by the database's clock."""


class KnownGateway(Struct, frozen=True):
    """Another gateway on this database.

    Attributes:
        owner: `name/incarnation`, as in the rows of its replies.
        internal_url: base address at which other gateways reach it; None: they do not.
        silent_s: seconds since it renewed its row, by the database's clock: negative if that was set back
            since then.
    """

    owner: str
    internal_url: str | None
    silent_s: float


class Renewal(Struct, frozen=True):
    """A renewed row.

    Attributes:
        others: all gateways but this one.
        was_missing: True if the row had been removed, or was never there.
        database_up_s: seconds since the database server was started, by its clock: negative if that was set
            back behind the start.
        database_at: the database's time, in seconds since the epoch.
    """

    others: Sequence[KnownGateway]
    was_missing: bool
    database_up_s: float
    database_at: float


class Gateways(Protocol):
    """The list, in which this gateway has a row. Each method raises StorageFailed."""

    async def renew(self) -> Renewal:
        """Renew or insert this gateway's row. One cheap statement: it does not wait for other changes."""
        ...

    async def leave(self) -> None:
        """Remove this gateway's row."""
        ...

    async def dead(self, silent_s: float) -> Collection[str]:
        """Return the owners that have not renewed their row for this long, or renewed it as long in the
        future, and owners of running replies without a row."""
        ...

    async def owned(self) -> Collection[str]:
        """Return the stream ids of the running replies whose rows this gateway owns."""
        ...

    async def release(self, stream_ids: Collection[str]) -> None:
        """Give these of its running replies an owner without a row, which `dead` returns to all gateways."""
        ...

    async def remove(self, owners: Collection[str], silent_s: float) -> None:
        """Remove the rows of these owners, unless they were renewed within `silent_s`, or still have running
        replies: `dead` returns those again."""
        ...
