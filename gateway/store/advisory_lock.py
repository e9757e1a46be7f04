"""One gateway per PostgreSQL database, by a lock that belongs to the connection that writes.

Only a gateway that holds the lock can write: after a lost connection it takes the lock again with the next
one, or writes nothing.
"""

from typing import Any

LOCK_WAIT_S = 2
"""Seconds to wait for the lock: the server notices the end of a killed gateway a moment later."""

KEY = int.from_bytes(b"sluice", "big")
HOLDER = """
SELECT coalesce(host(client_addr), 'this machine') || ', since '
    || to_char(backend_start, 'YYYY-MM-DD HH24:MI')
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32) + objid::bigint = $1
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class InUse(OSError):
    """Another gateway holds the lock."""


async def take_lock(connection: Any) -> None:
    """Lock the database for this connection of asyncpg. Raises InUse, and closes the connection."""
    from asyncpg.exceptions import LockNotAvailableError

    try:
        await connection.execute(f"SET lock_timeout = '{LOCK_WAIT_S}s'")
        await connection.execute(f"SELECT pg_advisory_lock({KEY})")
        await connection.execute("RESET lock_timeout")
    except LockNotAvailableError:
        holder = await connection.fetchval(HOLDER, KEY)
        connection.terminate()
        raise InUse(f"another gateway uses this database ({holder or 'it has just left'})") from None
    except BaseException:
        connection.terminate()
        raise
