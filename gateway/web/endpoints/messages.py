"""Endpoints to send messages, and to resume and stop streams, under both of their paths."""

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
            summary="Send a message and stream the reply",
            description="Server-Sent Events: first `metadata`, then any of `chunk`, `reasoning`, `tool_call` "
            "and `progress`, last exactly one of `done` and `error`. A comment line `: ping` is sent while "
            "there are no events.",
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
            summary="Resume a stream after an event",
            description="Works while the reply is generated and after it has ended. No character is lost or "
            "repeated. 204 if the last event was read already.",
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
            description="The text so far is stored. Further calls get the same response.",
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
        summary="Send a message and wait for the whole reply",
        description="The same as the stream, but the response is sent when the reply has ended.",
        tag="messages",
        body=MessageBody,
        max_body_bytes=body_with_parts,
        parameters=(IDEMPOTENCY_KEY, FORMAT, CACHE_CONTROL),
        answers={
            "200": {"description": "Both messages as stored", "content": json_content(WholeExchange)},
            **refusals(400, *NOBODY, shape=problems.FAILED_REPLY),
        },
        refuses=(404, 409, 422),
    ),
)
