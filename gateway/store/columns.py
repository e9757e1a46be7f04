"""Column types that store and return equal values in every database."""

import re
from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from gateway.contract.errors import NotFound

MAX_ID = 2**63 - 1
"""The largest row id; a database may raise on a larger number."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """Return `text` with U+FFFD for characters that a database refuses: NUL (PostgreSQL) and lone surrogates
    (UTF-8).

    Each replaces one code point, so that readers' positions in the text stay valid.
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text)
    return text


def check_id(id: int, kind: str = "session") -> None:
    """Raise NotFound for a number that cannot be a row id: a database may raise on it."""
    if not 0 < id <= MAX_ID:
        raise NotFound(f"No such {kind}.")


class StorableText(TypeDecorator[str]):
    """Text that the database accepts with any characters, as a value and in conditions: see `storable`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, returned in UTC; SQLite stores no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class RowId(TypeDecorator[int]):
    """A 64-bit id. In SQLite its type is INTEGER, which has 64 bits: only such a column autoincrements."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[int]:
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())
