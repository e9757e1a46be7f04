"""Resumes a stream: GET goes on with what POST began."""

from gateway.contract.journal import START, Position
from gateway.dialects.registry import LAM
from gateway.web.chat.follow import follow
from gateway.web.chat.formats import dialect_chosen
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.endpoint import path_id
from gateway.web.http.last_event_ids import last_event_id
from gateway.web.http.sse_writer import send_pause
from gateway.web.services import Services


class ResumeStream:
    """Answers with the stream after the event of `Last-Event-ID`, or of the query."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user_id = caller_of(scope).user_id
        dialect = dialect_chosen(scope) or LAM
        event_id = last_event_id(scope)
        after = Position.parse(event_id) if event_id else START
        self._gateway.pulse.resumed += after != START and scope["method"] != "HEAD"
        if self._gateway.runs.may_lose(path_id(scope)):
            if not dialect.bears_ids:
                self._gateway.runs.refuse_new()
            await send_pause(send, dialect.media_type)  # after an error, EventSource does not reconnect
            return
        await follow(self._gateway, scope, send, dialect, path_id(scope), user_id, after)


def resume_url(stream_id: str, ticket: str) -> str:
    """Return the URL of the stream for an EventSource, relative to the gateway."""
    return f"/messages/stream/{stream_id}?ticket={ticket}"
