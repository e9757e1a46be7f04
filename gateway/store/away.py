"""Tells errors of a database that is away from errors of a single change."""

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

_AWAY_STATES = (
    "08",  # connection lost or refused
    "25006",  # read-only, such as a standby
    "53",  # connections, disk or memory exhausted
    "57014",  # a statement took longer than the server allows
    "57P",  # the server is shut down, starting, or was killed
    "58",  # its disk fails
    "XX",  # its data are damaged
)
"""SQLSTATE codes of PostgreSQL, or their first characters."""

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


_COLLISIONS = (
    "23505",  # a row with the same key was inserted meanwhile
    "40001",  # serialization failure
    "40P01",  # deadlock
)

_LOST_STATES = ("08", "25P03", "57P01", "57P02")  # 25P03: it was idle in a transaction for too long


def lost_connection(error: BaseException) -> bool:
    """Return True if the server closed the connection, and so rolled back what was begun on it."""
    if not isinstance(error, DBAPIError):
        return False
    # asyncpg notices some closed connections only after their error.
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(_LOST_STATES)


def is_away(error: BaseException) -> bool:
    """Return True if the database is unreachable, locked, full or damaged, so that no single change is at
    fault."""
    if isinstance(error, OSError | OperationalError | InterfaceError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    return state.startswith(_AWAY_STATES) or getattr(error.orig, "sqlite_errorname", "").startswith(_DAMAGED)


def collides(error: BaseException) -> bool:
    """Return True if another process changed the same rows at the same time, so that the change may succeed
    when it is repeated."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _COLLISIONS


def reason_of(error: BaseException) -> str:
    """Return the text of the database's error, without the statement, on one line. It is never empty."""
    text = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
    return text or ("it took too long" if isinstance(error, TimeoutError) else type(error).__name__)
