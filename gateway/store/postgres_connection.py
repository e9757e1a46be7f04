"""A connection to PostgreSQL that ends although the server does not answer."""

from contextlib import suppress

import asyncpg

CLOSE_S = 0.2


class BoundedConnection(asyncpg.Connection):  # type: ignore[misc]  # the library has no types
    """Waits at most CLOSE_S for the server when it is closed: SQLAlchemy and asyncpg set no limit."""

    async def close(self, *, timeout: float | None = None) -> None:
        with suppress(TimeoutError):  # it is aborted
            await super().close(timeout=CLOSE_S if timeout is None else timeout)
