"""Uploads and downloads of attachments, under /api/chatbot/attachments."""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.contract.attachments import StoredAttachment
from gateway.contract.content_parser import MAX_NAME_CHARS
from gateway.contract.errors import TooLarge
from gateway.contract.media_types import TEXT, media_type_of
from gateway.contract.misfits import misfit
from gateway.web.api.dependencies import Gateway, UserId
from gateway.web.api.views import Time
from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.bodies import parse
from gateway.web.http.body_places import Leave
from gateway.web.http.endpoint import read_request

PIECE_BYTES = 64 * 1024
HEADERS = {
    # Nothing in it may run or load, whatever a browser takes it for.
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, max-age=3600",
}


class AttachmentBody(BaseModel):
    """A file to upload."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
    data: Annotated[
        str,
        Field(
            description="The file in base64 (RFC 4648, 4); not empty.",
            json_schema_extra={"format": "file-in-base64", "examples": ["SGVsbG8K"]},
        ),
    ]


class Attachment(BaseModel):
    """An attachment. media_type: found by the content; `text/plain` for every text."""

    id: str
    name: str
    media_type: str
    size: Annotated[int, Field(description="Bytes.")]
    created_at: Time


async def add_attachment(request: Request, gateway: Gateway, user_id: UserId) -> Attachment:
    raw = await read_request(gateway, request.scope, request.receive)
    name, media_type, data = await asyncio.to_thread(_read, raw, gateway.max_attachment_bytes)
    return _view(await gateway.attachments.add(user_id, name, media_type, data))


async def list_attachments(
    gateway: Gateway, user_id: UserId, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> Sequence[Attachment]:
    return [_view(attachment) for attachment in await gateway.attachments.all(user_id, limit=limit)]


async def get_attachment(gateway: Gateway, user_id: UserId, attachment_id: str) -> Response:
    leave = await gateway.leaving_attachments.take(user_id, gateway.body_timeout_s)
    try:
        attachment, data = await gateway.attachments.one(user_id, attachment_id)
    except BaseException:
        leave()
        raise
    is_text = attachment.media_type == TEXT
    shown = "attachment" if is_text else "inline"
    disposition = f"{shown}; filename*=UTF-8''{quote(attachment.name, safe='', errors='replace')}"
    media_type = f"{TEXT}; charset=utf-8" if is_text else attachment.media_type
    headers = {**HEADERS, "Content-Disposition": disposition}
    return _Download(data, media_type=media_type, headers=headers, leave=leave)


class _Download(Response):
    """Sends its bytes in pieces. Calls `leave` when the client has taken almost all of them, or is gone."""

    def __init__(self, data: bytes, media_type: str, headers: dict[str, str], leave: Leave) -> None:
        super().__init__(data, media_type=media_type, headers=headers)
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            pieces = memoryview(self.body)
            for begin in range(0, len(pieces), PIECE_BYTES):
                piece = bytes(pieces[begin : begin + PIECE_BYTES])
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._leave()


async def delete_attachment(gateway: Gateway, user_id: UserId, attachment_id: str) -> Response:
    await gateway.attachments.delete(user_id, attachment_id)
    return Response(status_code=204)


def _read(raw: bytes, max_bytes: int) -> tuple[str, str, bytes]:
    """Return name, media type and bytes of an upload."""
    body = parse(raw, AttachmentBody)
    try:
        data = b64decode(body.data, validate=True)
    except (binascii.Error, ValueError):
        raise misfit("data", "must be base64 with its padding and without line breaks") from None
    if not data:
        raise misfit("data", "must not be empty")
    if len(data) > max_bytes:
        raise TooLarge(
            f"An attachment has at most {max_bytes} bytes (MAX_ATTACHMENT_BYTES), not {len(data)}."
        )
    media_type = media_type_of(data)
    if media_type is None:
        raise misfit("data", "must be a PNG, JPEG, GIF, WebP or BMP image, WAV or MP3 sound, or UTF-8 text")
    return body.name, media_type, data


def _view(attachment: StoredAttachment) -> Attachment:
    return Attachment(
        id=attachment.id,
        name=attachment.name,
        media_type=attachment.media_type,
        size=attachment.size,
        created_at=attachment.created_at.isoformat(),
    )
