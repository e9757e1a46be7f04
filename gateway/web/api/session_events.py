"""`GET /api/chatbot/sessions/{id}/events`: what happens in a session, for its other tabs."""

import asyncio
from functools import partial
from typing import Any

from gateway.contract.content import parts_of, size_of, text_of
from gateway.core.keys import Caller
from gateway.core.session_news import Listener, News, QuestionAsked, ReplyEnded, ReplyStarted
from gateway.dialects.frame import PING, data_frame, json_bytes
from gateway.web.api.views import author_view
from gateway.web.chat.session_names import session_of
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import Connection, Receive, Scope, Send, connection_of
from gateway.web.http.endpoint import path_id
from gateway.web.http.large_bodies import unhurried
from gateway.web.http.sse_connection import HEADERS, send_head
from gateway.web.services import Services


class SessionEvents:
    """Tells first which replies are in the making, then what is new. Listening keeps no reply alive."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        caller = caller_of(scope)
        session = await session_of(gateway.store, caller.user_id, path_id(scope))
        if scope["method"] == "HEAD":
            await send_head(send)
            return
        allowance = caller.allowance
        place = None if allowance is None else gateway.listeners.take(allowance.streams)
        try:
            await self._listen(session.id, caller, connection_of(scope), send)
        finally:
            if place is not None:
                place.leave()

    async def _listen(self, session_id: int, caller: Caller, connection: Connection, send: Send) -> None:
        gateway = self._gateway
        with gateway.news.listening(session_id) as listener:
            for run in gateway.runs.of_session(session_id):
                listener.hear(ReplyStarted(run.stream_id, run.exchange.assistant_message_id))
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            connection.watch(_Client(listener))
            try:
                await self._tell(listener, caller, send)
            finally:
                connection.watch(None)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, listener: Listener, caller: Caller, send: Send) -> None:
        gateway = self._gateway
        while not listener.closed:
            body = PING
            try:
                async with asyncio.timeout(gateway.pulse.ping_s):
                    news = await listener.next()
                if news is None:
                    return
            except TimeoutError:
                pass
            else:
                body = await unhurried(attached_bytes(news), partial(frame_of, news))
            if not gateway.keys.stands(caller):
                return  # Their key was revoked while they listened.
            await send({"type": "http.response.body", "body": body, "more_body": True})


class _Client:
    """Ends the listening when the client goes away."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_lost(self) -> None:
        self._listener.close()

    def connection_writable(self) -> None:
        pass


def attached_bytes(news: News) -> int:
    return sum(map(size_of, parts_of(news.content))) if isinstance(news, QuestionAsked) else 0


def frame_of(news: News) -> bytes:
    return data_frame(json_bytes(as_json(news)))


def as_json(news: News) -> dict[str, Any]:
    match news:
        case QuestionAsked(message_id, author, content):
            told = {
                "type": "message",
                "message_id": message_id,
                "author": author_view(author),
                "role": "user",
                "content": text_of(content),
            }
            if parts := parts_of(content):
                told["parts"] = [part.as_json() for part in parts]
            return told
        case ReplyStarted(stream_id, message_id):
            return {"type": "reply_started", "stream_id": stream_id, "assistant_message_id": message_id}
        case ReplyEnded(stream_id, message_id, status, reason):
            return {
                "type": "reply_ended",
                "stream_id": stream_id,
                "assistant_message_id": message_id,
                "status": status,
                "reason": reason,
            }
