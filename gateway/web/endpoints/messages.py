"""Asking, reading on and stopping, under both of their addresses."""

from gateway.dialects.registry import LAM
from gateway.web.chat.messages import MessageStream, WholeMessage, stop_stream
from gateway.web.chat.resume import ResumeStream
from gateway.web.chat.unified_form import unified_form
from gateway.web.description import problems
from gateway.web.description.bodies import WholeExchange
from gateway.web.description.parameters import (
    ASKING,
    CACHE_CONTROL,
    FORMAT,
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    LAST_EVENT_ID_IN_QUERY,
)
from gateway.web.description.problems import NOBODY, refusals
from gateway.web.description.schemas import json_content
from gateway.web.description.streams import NOTHING_MORE, stream_of
from gateway.web.door.ticket_subjects import stream_subject
from gateway.web.http.bodies import MessageBody
from gateway.web.http.endpoint import AsgiEndpoint, Endpoint, JsonEndpoint, body_with_parts
from gateway.web.http.error_shapes import LAM_FRAME


def _streams_at(path: str, name: str) -> tuple[Endpoint, ...]:
    return (
        AsgiEndpoint(
            method="POST",
            path=path,
            handler=lambda gateway: MessageStream(gateway, unified_form),
            name=f"{name}message_stream",
            summary="Ask, and read the reply as it comes",
            description="Server-Sent Events: `metadata` first, then `chunk`, `reasoning`, `tool_call` and "
            "`progress` as they happen, and exactly one of `done` and `error` last. A comment line `: ping` "
            "breaks a silence.",
            tag="messages",
            errors=LAM_FRAME,
            body=MessageBody,
            max_body_bytes=body_with_parts,
            parameters=ASKING,
            answers={"200": stream_of(LAM), **NOTHING_MORE},
            refuses=(404, 409, 422, *NOBODY),
        ),
        AsgiEndpoint(
            method="GET",
            path=f"{path}/{{stream_id}}",
            handler=ResumeStream,
            name=f"resume_{name}message_stream",
            summary="Read on behind an event",
            description="While the reply runs and after it has ended: no character is lost, none comes "
            "twice. 204 when its end was read.",
            tag="streams",
            errors=LAM_FRAME,
            ticket=stream_subject,
            parameters=(LAST_EVENT_ID, LAST_EVENT_ID_IN_QUERY, FORMAT),
            answers={"200": stream_of(LAM), **NOTHING_MORE},
            refuses=(400, 404, 422, 503),
        ),
        JsonEndpoint(
            method="DELETE",
            path=f"{path}/{{stream_id}}",
            handler=stop_stream,
            name=f"delete_{name}stream",
            summary="Stop a reply",
            description="The same as `POST …/stop`.",
            tag="streams",
            rate_limited=False,
        ),
        JsonEndpoint(
            method="POST",
            path=f"{path}/{{stream_id}}/stop",
            handler=stop_stream,
            name=f"stop_{name}stream",
            summary="Stop a reply",
            description="The text so far is kept. Repeating it gives the same answer.",
            tag="streams",
            rate_limited=False,
        ),
    )


MESSAGES: tuple[Endpoint, ...] = (
    *_streams_at("/messages/stream", ""),
    *_streams_at("/api/chatbot/messages/stream", "chatbot_"),
    AsgiEndpoint(
        method="POST",
        path="/api/chatbot/messages",
        handler=WholeMessage,
        name="message",
        summary="Ask, and wait for the whole reply",
        description="The same as the stream, answered when the reply has ended.",
        tag="messages",
        body=MessageBody,
        max_body_bytes=body_with_parts,
        parameters=(IDEMPOTENCY_KEY, FORMAT, CACHE_CONTROL),
        answers={
            "200": {"description": "Both messages as they are kept", "content": json_content(WholeExchange)},
            **refusals(400, *NOBODY, shape=problems.FAILED_REPLY),
        },
        refuses=(404, 409, 422),
    ),
)
