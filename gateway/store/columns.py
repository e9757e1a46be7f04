"""Column types that make one value mean the same in every database."""

import re
from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

MAX_ID = 2**63 - 1
"""The largest number that a row can have; a database may raise on a larger one."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with U+FFFD for what a database refuses: NUL (PostgreSQL) and lone surrogates (UTF-8).

    One code point for one code point, so that positions in the text stay what its readers were told.
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


def storable_or_null(text: str | None) -> str | None:
    """As `storable`; None stays NULL."""
    return None if text is None else storable(text)


class StorableText(TypeDecorator[str]):
    """Text that never fails on what it holds, as a value or as what is looked for."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return storable_or_null(value)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, given back in UTC; SQLite keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class RowId(TypeDecorator[int]):
    """64 bits; SQLite counts up only a column that is spelt INTEGER, which has 64 bits there."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[int]:
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())
