"""Encodes the column `parts`: a message's content in the form of OpenAI's chat API, if it has attachments.

The column contains JSON but has a binary type: SQLite and PostgreSQL know the length of such a value without
reading it.
"""

from dataclasses import fields, replace
from typing import Any

import msgspec

from gateway.contract.content import Content, File, Part, Text, part_of_json, text_of
from gateway.contract.exchanges import NewExchange
from gateway.contract.record import record
from gateway.store.columns import storable


@record
class EncodedExchange(NewExchange):
    """A NewExchange whose `content` is only its text; `parts` is the column's value."""

    parts: bytes | None = None


def encoded(exchange: NewExchange) -> EncodedExchange:
    """Return the exchange for the database. It takes long for large attachments: call it in a thread."""
    given: dict[str, Any] = {each.name: getattr(exchange, each.name) for each in fields(NewExchange)}
    given["content"] = text_of(exchange.content)
    return EncodedExchange(**given, parts=column_of(exchange.content))


def column_of(content: Content) -> bytes | None:
    """Return the value of the column; None for content without attachments."""
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
