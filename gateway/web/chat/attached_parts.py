"""Puts the bytes of uploaded attachments in place of the parts of a message that name them."""

import asyncio
from base64 import b64encode
from typing import Any

from gateway.contract.attachments import StoredAttachment
from gateway.contract.content_parser import MAX_PARTS
from gateway.contract.errors import NotFound, TooLarge
from gateway.contract.misfits import misfit
from gateway.web.services import Services

Object = dict[str, Any]


async def with_attachments(gateway: Services, user_id: str, said: Any) -> Any:
    """Return the content, with parts in OpenAI's form in place of those of type `attachment`.

    Raises Unprocessable for a part without an id, NotFound for an attachment that the user does not have,
    TooLarge if they are larger together than a body may be, LimitExceeded if too many messages of the user
    wait for theirs.
    """
    if not isinstance(said, list) or len(said) > MAX_PARTS:  # which the parser of the content refuses
        return said
    if not any(map(_names_one, said)):
        return said
    # A short request can name 32 MiB: without a place many would occupy the database and the memory.
    leave = await gateway.arriving_bodies.take(user_id, gateway.body_timeout_s)
    try:
        return await _with_bytes(gateway, user_id, said)
    finally:
        leave()


def _names_one(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "attachment"


async def _with_bytes(gateway: Services, user_id: str, said: list[Any]) -> list[Any]:
    parts, size = [], 0
    for at, part in enumerate(said):
        if _names_one(part):
            attachment, data = await _attached(gateway, user_id, part, f"content.{at}.attachment")
            size += len(data)
            if size > gateway.max_message_bytes:
                raise TooLarge("The attachments of a message are larger together than MAX_BODY_BYTES.")
            part = await asyncio.to_thread(_part, attachment, data)
        parts.append(part)
    return parts


async def _attached(
    gateway: Services, user_id: str, part: Object, field: str
) -> tuple[StoredAttachment, bytes]:
    named = part.get("attachment")
    id = named.get("id") if isinstance(named, dict) else None
    if not isinstance(id, str):
        raise misfit(f"{field}.id", "must be the id of an attachment")
    try:
        return await gateway.attachments.one(user_id, id)
    except NotFound:
        raise NotFound("No such attachment.") from None


def _part(attachment: StoredAttachment, data: bytes) -> Object:
    encoded = b64encode(data).decode()
    kind = attachment.media_type
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{encoded}"}}
    if kind.startswith("audio/"):
        format = "wav" if kind == "audio/wav" else "mp3"
        return {"type": "input_audio", "input_audio": {"data": encoded, "format": format}}
    file = {"file_data": f"data:{kind};base64,{encoded}", "filename": attachment.name}
    return {"type": "file", "file": file}
