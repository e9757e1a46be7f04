"""The column `parts`: a message's content as OpenAI's chat API writes it, where it is not text alone.

It holds JSON and is a column of bytes: SQLite and PostgreSQL tell the length of those without reading them.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from gateway.contract.content import Content, File, Part, Text, part_of_json, text_of
from gateway.contract.store import NewExchange
from gateway.store.columns import storable


@dataclass(frozen=True, slots=True)
class EncodedExchange(NewExchange):
    """A NewExchange with `content` as its text. parts: the column's value."""

    parts: bytes | None = None


def encoded(exchange: NewExchange) -> EncodedExchange:
    """The exchange as it is written; of an image of many bytes this takes long."""
    given: dict[str, Any] = {name: getattr(exchange, name) for name in NewExchange.__slots__}
    given["content"] = text_of(exchange.content)
    return EncodedExchange(**given, parts=column_of(exchange.content))


def column_of(content: Content) -> bytes | None:
    """What is kept of the content besides its text; None if it has nothing else."""
    if isinstance(content, str):
        return None
    return msgspec.json.encode([_storable(part).as_json() for part in content])


def parts_in(column: bytes | None) -> tuple[Part, ...]:
    if column is None:
        return ()
    return tuple(map(part_of_json, msgspec.json.decode(column)))


def _storable(part: Part) -> Part:
    if isinstance(part, Text):
        return Text(storable(part.text))
    if isinstance(part, File):
        return replace(part, name=storable(part.name))
    return part
