"""The list of gateways in PostgreSQL: each renews its row, and sees those of the others."""

from collections.abc import Collection

from gateway.contract.gateways import KnownGateway, Renewal
from gateway.store.database_clock import DatabaseClock
from gateway.store.postgres_link import PostgresLink
from gateway.store.postgres_signals import PostgresSignals

_RENEW = """
WITH mine AS (
    INSERT INTO gateways (owner, internal_url, started_at, seen_at)
    VALUES ($1, $2, clock_timestamp(), clock_timestamp())
    ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at, internal_url = excluded.internal_url
    RETURNING xmax = 0 AS inserted
)
SELECT inserted, extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8,
    extract(epoch FROM clock_timestamp())::float8,
    owner, internal_url, extract(epoch FROM clock_timestamp() - seen_at)::float8
FROM mine LEFT JOIN gateways ON owner <> $1
"""
# A row that was renewed in the future is that of a dead gateway too: the clock was set back since then.
_DEAD = """
SELECT owner FROM gateways WHERE owner <> $1
    AND abs(extract(epoch FROM clock_timestamp() - seen_at)) > $2::float8
UNION
SELECT owner FROM messages WHERE status = 'streaming' AND owner <> $1
    AND NOT EXISTS (SELECT FROM gateways WHERE gateways.owner = messages.owner)
"""
_OWNED = "SELECT stream_id FROM messages WHERE status = 'streaming' AND owner = $1 AND stream_id IS NOT NULL"
_RELEASE = (
    "UPDATE messages SET owner = 'nobody' WHERE status = 'streaming' AND owner = $1 AND stream_id = ANY($2)"
)
_REMOVE = """
DELETE FROM gateways WHERE owner = ANY($1)
    AND abs(extract(epoch FROM clock_timestamp() - seen_at)) > $2::float8
    AND NOT EXISTS (SELECT FROM messages WHERE status = 'streaming' AND messages.owner = gateways.owner)
"""
_LEAVE = "DELETE FROM gateways WHERE owner = $1"


class PostgresGateways:
    """Implements gateway.contract.gateways.Gateways.

    Args:
        signals: of this gateway; their `alone` is set.
        clock: corrected at each renewal.
        owner: this start of this gateway.
        internal_url: base address at which other gateways reach it; None: they do not.
    """

    def __init__(
        self,
        link: PostgresLink,
        signals: PostgresSignals,
        clock: DatabaseClock,
        owner: str,
        internal_url: str | None,
    ) -> None:
        self._link = link
        self._signals = signals
        self._clock = clock
        self._owner = owner
        self._internal_url = internal_url

    async def renew(self) -> Renewal:
        asked_at = self._clock.local()
        rows = await self._link.fetch(_RENEW, self._owner, self._internal_url)
        inserted, database_up_s, told = rows[0][:3]
        self._clock.learn(told, asked_at, self._clock.local())
        others = [KnownGateway(*row[3:]) for row in rows if row[3] is not None]
        self._signals.alone = not others
        return Renewal(others, was_missing=inserted, database_up_s=database_up_s, database_at=told)

    async def leave(self) -> None:
        await self._link.fetch(_LEAVE, self._owner)

    async def dead(self, silent_s: float) -> Collection[str]:
        return [row[0] for row in await self._link.fetch(_DEAD, self._owner, silent_s)]

    async def owned(self) -> Collection[str]:
        return [row[0] for row in await self._link.fetch(_OWNED, self._owner)]

    async def release(self, stream_ids: Collection[str]) -> None:
        await self._link.fetch(_RELEASE, self._owner, list(stream_ids))

    async def remove(self, owners: Collection[str], silent_s: float) -> None:
        await self._link.fetch(_REMOVE, list(owners), silent_s)
