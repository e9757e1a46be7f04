"""Encodes the column `parts`: a message's content in the form of OpenAI's chat API, if it has attachments.

The column contains JSON but has a binary type: SQLite and PostgreSQL know the length of such a value without
reading it.
"""

import asyncio
import logging

import msgspec
from msgspec.structs import asdict

from gateway.contract.content import Content, File, Part, Text, part_of_json, text_of
from gateway.contract.exchanges import NewExchange
from gateway.contract.record import replace
from gateway.store.columns import storable

log = logging.getLogger("sluice.store")

_UNREADABLE = (msgspec.MsgspecError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class EncodedExchange(NewExchange, frozen=True):
    """A NewExchange whose `content` is only its text; `parts` is the column's value."""

    parts: bytes | None = None


async def for_database(exchange: NewExchange) -> NewExchange:
    """Return the exchange for the database; attachments are encoded in a thread."""
    if isinstance(exchange.content, str):
        return exchange
    return await asyncio.to_thread(encoded, exchange)


def encoded(exchange: NewExchange) -> EncodedExchange:
    """Return the exchange for the database. It takes long for large attachments."""
    given = asdict(exchange) | {"content": text_of(exchange.content)}
    return EncodedExchange(**given, parts=column_of(exchange.content))


def column_of(content: Content) -> bytes | None:
    """Return the value of the column; None for content without attachments."""
    if isinstance(content, str):
        return None
    return msgspec.json.encode([_storable(part).as_json() for part in content])


def parts_in(column: bytes | None, message_id: int) -> tuple[Part, ...]:
    """Return the parts of a message; none, and log it, if the column was not written by column_of."""
    if column is None:
        return ()
    try:
        parts = tuple(map(part_of_json, msgspec.json.decode(column)))
        for part in parts:
            _check(part)
    except _UNREADABLE as error:
        reason = f"{type(error).__name__}: {error}"
        log.warning("the parts of message %d cannot be read, only its text: %.200s", message_id, reason)
        return ()
    return parts


def _check(part: Part) -> None:
    """Raise TypeError if a field has a wrong type, ValueError if the base64 of a file is invalid."""
    for name, value in asdict(part).items():
        if not isinstance(value, str) and (name, value) != ("detail", None):
            raise TypeError(f"{name} is not a string")
    if isinstance(part, File):
        part.data  # noqa: B018 - decodes it


def _storable(part: Part) -> Part:
    if isinstance(part, Text):
        return Text(storable(part.text))
    if isinstance(part, File):
        return replace(part, name=storable(part.name))
    return part
