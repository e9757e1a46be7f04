"""The rows of replies, read from the database behind the gateways' backs."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.store.postgres import SHARED, PostgresServer

_COLUMNS = ("stream_id", "status", "reason", "content", "epoch")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM messages WHERE stream_id IS NOT NULL"  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Row:
    """A reply's row."""

    stream_id: str
    status: str
    reason: str | None
    content: str
    epoch: int


class Records(Protocol):
    def rows(self) -> Sequence[Row]: ...


class SqliteRecords:
    def __init__(self, file: Path) -> None:
        self._file = file

    def rows(self) -> Sequence[Row]:
        connection = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)
        try:
            return [Row(*values) for values in connection.execute(_SELECT)]
        finally:
            connection.close()


class PostgresRecords:
    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def rows(self) -> Sequence[Row]:
        query = f"SELECT coalesce(json_agg(told), '[]') FROM ({_SELECT}) AS told"  # noqa: S608 - constants
        told: list[dict[str, Any]] = json.loads(self._server.sql(query, SHARED))
        return [Row(*(each[name] for name in _COLUMNS)) for each in told]
