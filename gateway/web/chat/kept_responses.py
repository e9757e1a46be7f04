"""Responses that are kept: what was asked, what was answered, and the items of both."""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.contract.compression import compressed
from gateway.contract.content import Text
from gateway.contract.errors import NotFound
from gateway.contract.events import ReaderEvent
from gateway.contract.journal import START
from gateway.contract.misfits import misfit
from gateway.contract.store import StoredMessage
from gateway.core.replays import exact_replay, replay
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.responses import Responses
from gateway.web.chat.response_items import Item
from gateway.web.services import Services

MAX_KEPT_BYTES = 4 * 1024 * 1024
"""Of a request's items and settings as JSON. Of a larger one only the question is kept."""

MAX_CHAIN = 500
"""Responses that one request goes on from, one after the other."""

_FAILED = ("failed", "interrupted")
_RESPONSE_ID = re.compile("resp_([0-9a-f]{32})")
_ITEM_ID = re.compile("(?:msg|rs|fc|ctc)_([0-9a-f]{32})_[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """One response.

    Args:
        stream_id: of its reply.
        message: the reply as it is kept.
        settings: of its request, as the response object repeats them.
        input: the items of its request; None if they were too large to be kept.
        previous: the stream id of the response that it goes on from.
        size: bytes of what was asked, and characters of the answer.
    """

    stream_id: str
    message: StoredMessage
    settings: Mapping[str, Any]
    input: Sequence[Item] | None
    previous: str | None
    size: int

    def dialect(self, after: int | None = None, *, live: bool = False) -> Responses:
        """after: the number behind which a reader goes on. live: its journal is held."""
        return Responses(
            self.settings,
            model=self.message.model or str(self.settings.get("model", "default")),
            after=after,
            numbered=after is None or live or self.message.event_lengths is not None,
            end_lost=self.message.status == "interrupted" and self.message.last_seq is None,
            created_at=int(self.message.created_at.timestamp()),
        )


def packed_request(settings: Mapping[str, Any], items: Sequence[Item], previous: str | None) -> bytes:
    told = {"settings": settings, "input": items, "previous": previous}
    encoded = json_bytes(told)
    if len(encoded) > MAX_KEPT_BYTES:
        encoded = json_bytes({"settings": {}, "input": None, "previous": previous})
    return compressed(encoded)


def stream_of_response(response_id: object) -> str:
    """The stream id in a response's id. NotFound if it is none of ours."""
    match = _RESPONSE_ID.fullmatch(response_id) if isinstance(response_id, str) else None
    if match is None:
        raise NotFound("There is no such response.")
    return match[1]


async def kept_response(gateway: Services, user_id: str, stream_id: str) -> KeptResponse:
    """NotFound if there is none, or it is somebody else's."""
    try:
        message = await gateway.store.reply(user_id, stream_id)
    except NotFound:
        raise NotFound(f"There is no response resp_{stream_id}.") from None
    request = zlib.decompress(message.request) if message.request else b"{}"
    told = msgspec.json.decode(request)
    size = len(request) + len(message.content) + len(message.reasoning or "")
    return KeptResponse(
        stream_id, message, told.get("settings", {}), told.get("input"), told.get("previous"), size
    )


async def object_of(gateway: Services, user_id: str, kept: KeptResponse) -> Item:
    """The response object; its status tells a stop."""
    response = await told_object(gateway, user_id, kept)
    return {**response, "status": "cancelled"} if kept.message.status == "cancelled" else response


async def told_object(gateway: Services, user_id: str, kept: KeptResponse) -> Item:
    """The response object as a stream ends with it: a stopped one is `completed`."""
    message = kept.message
    encoder = kept.dialect().encoder(kept.stream_id)
    if message.status == "streaming":
        return encoder.response
    exchange = await gateway.store.exchange(user_id, kept.stream_id)
    if message.event_lengths is None:
        told = replay(message, exchange, START)
    else:
        told = exact_replay(message, exchange)
    events: list[ReaderEvent] = [event for event, _ in told]
    for event in events:
        encoder.frames(event)
    return encoder.response


async def input_of(gateway: Services, user_id: str, kept: KeptResponse) -> list[Item]:
    """The items of the request; where they were not kept, the question, unless it was deleted."""
    if kept.input is not None:
        return list(kept.input)
    exchange = await gateway.store.exchange(user_id, kept.stream_id)
    if not exchange.user_message_id:
        return []
    asked = await gateway.store.message(user_id, exchange.user_message_id)
    said = asked.parts or (Text(asked.content),)
    content = [_input_part(part.as_json()) for part in said]
    return [{"type": "message", "role": "user", "content": content}]


async def conversation_of(gateway: Services, user_id: str, stream_id: str) -> list[Item]:
    """All items up to the end of this response, the oldest first.

    They begin behind a response that was deleted, as retention does with old ones. NotFound if this one was.
    """
    pieces: list[list[Item]] = []
    previous: str | None = stream_id
    size = 0
    while previous is not None:
        if len(pieces) == MAX_CHAIN:
            raise misfit("previous_response_id", f"goes on from more than {MAX_CHAIN} responses")
        try:
            kept = await kept_response(gateway, user_id, previous)
        except NotFound:
            if not pieces:
                raise
            break
        size += kept.size
        if size > gateway.max_message_bytes:
            raise misfit("previous_response_id", "goes on from more than a request may hold")
        response = await object_of(gateway, user_id, kept)
        pieces.append([*await input_of(gateway, user_id, kept), *response["output"]])
        previous = kept.previous
    return [item for piece in reversed(pieces) for item in piece]


async def latest_response(gateway: Services, user_id: str, thread: str) -> str | None:
    """The stream id of the last response of this conversation; None where it begins.

    One that failed is left out, as OpenAI does: its question is sent again.
    """
    session = await gateway.store.latest_session(user_id, thread)
    latest, after = None, 0
    while session is not None:
        page = await gateway.store.messages(user_id, session.id, after=after)
        if not page:
            break
        after = page[-1].id
        responses = (message for message in reversed(page) if message.status not in _FAILED)
        latest = next((message.stream_id for message in responses if message.stream_id), latest)
    return latest


async def resolved(gateway: Services, user_id: str, items: Sequence[Item]) -> list[Item]:
    """The items, with what we gave out in place of each reference. NotFound for an id that is unknown."""
    outputs: dict[str, Sequence[Item]] = {}
    told: list[Item] = []
    for item in items:
        if item.get("type") != "item_reference":
            told.append(item)
            continue
        id = item.get("id")
        match = _ITEM_ID.fullmatch(id) if isinstance(id, str) else None
        unknown = NotFound(f"There is no item {str(id)[:100]!r}.")
        if match is None:
            raise unknown
        if match[1] not in outputs:
            try:
                kept = await kept_response(gateway, user_id, match[1])
            except NotFound:
                raise unknown from None
            outputs[match[1]] = (await object_of(gateway, user_id, kept))["output"]
        found = next((output for output in outputs[match[1]] if output["id"] == id), None)
        if found is None:
            raise unknown
        told.append(found)
    return told


def _input_part(part: Item) -> Item:
    """A part of OpenAI's chat API as Responses writes it."""
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": url}}:
            return {"type": "input_image", "image_url": url, "detail": "auto"}
        case {"type": "file", "file": dict(file)}:
            return {"type": "input_file", **file}
        case _:
            return part
