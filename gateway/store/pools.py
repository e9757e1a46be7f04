"""The size of connection pools."""

from typing import Any

READERS = 4
POOL_WAIT_S = 5


def pool_of(connections: int) -> dict[str, Any]:
    """Return arguments for SQLAlchemy's engines."""
    return {
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": POOL_WAIT_S,
        "hide_parameters": True,  # logs must not contain users' messages
    }
