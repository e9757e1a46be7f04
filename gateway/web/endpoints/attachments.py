"""Endpoints for attachments that are uploaded once and named in messages."""

from fastapi.responses import Response

from gateway.contract.content_parser import IMAGE_TYPES
from gateway.web.api import attachments
from gateway.web.http.endpoint import Endpoint, JsonEndpoint, body_with_parts

_ALL = "/api/chatbot/attachments"
_ONE = "/api/chatbot/attachments/{attachment_id}"
_TYPES = (*IMAGE_TYPES, "audio/wav", "audio/mpeg", "text/plain")

ATTACHMENTS: tuple[Endpoint, ...] = (
    JsonEndpoint(
        method="GET",
        path=_ALL,
        handler=attachments.list_attachments,
        name="list_attachments",
        summary="The caller's attachments",
        description="The latest first, without their bytes.",
        tag="attachments",
    ),
    JsonEndpoint(
        method="POST",
        path=_ALL,
        handler=attachments.add_attachment,
        name="add_attachment",
        summary="Upload an attachment",
        description='Messages name it as the part `{"type": "attachment", "attachment": {"id": "…"}}`. The '
        "message keeps a copy.",
        tag="attachments",
        body=attachments.AttachmentBody,
        max_body_bytes=body_with_parts,
        status=201,
        refuses=(409,),
    ),
    JsonEndpoint(
        method="GET",
        path=_ONE,
        handler=attachments.get_attachment,
        name="get_attachment",
        summary="Download an attachment",
        description="Its bytes, with headers that let no browser run them.",
        tag="attachments",
        response_class=Response,
        responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in _TYPES}}},
    ),
    JsonEndpoint(
        method="DELETE",
        path=_ONE,
        handler=attachments.delete_attachment,
        name="delete_attachment",
        summary="Delete an attachment",
        description="Messages that named it keep their copies.",
        tag="attachments",
        status=204,
    ),
)
