"""`GET /api/chatbot/sessions/{id}/events`: a stream of a session's events, for its other clients."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from gateway.contract.content import parts_of, size_of, text_of
from gateway.contract.errors import NotFound, StorageFailed
from gateway.contract.notes import posted
from gateway.contract.room_events import MessagePosted
from gateway.contract.store import MessageStore
from gateway.core.key_ring import Caller
from gateway.core.session_news import (
    BranchChosen,
    Listener,
    MessageStored,
    News,
    ReplyEnded,
    ReplyStarted,
)
from gateway.dialects.json_encoding import json_bytes
from gateway.dialects.sse_frames import PING, data_frame
from gateway.web.api.views import author_view
from gateway.web.chat.session_names import session_of
from gateway.web.door.callers import caller_of
from gateway.web.door.credentials import Credentials
from gateway.web.http.asgi import Connection, Receive, Scope, Send, connection_of
from gateway.web.http.endpoint import path_id
from gateway.web.http.large_bodies import unhurried
from gateway.web.http.sse_writer import Pulse, SseWriter, send_head
from gateway.web.services import Services


class SessionEvents:
    """Sends the replies that are being generated, then new events. Listeners do not keep a reply running."""

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
        place = None if allowance is None else await gateway.listeners.take(allowance.streams)
        try:
            await self._listen(session.id, caller, connection_of(scope), send)
        finally:
            if place is not None:
                place.leave()

    async def _listen(self, session_id: int, caller: Caller, connection: Connection, send: Send) -> None:
        gateway = self._gateway
        credentials, rooms, user_id = Credentials(gateway), gateway.rooms, caller.user_id
        came_as_member = rooms.is_member(user_id, session_id)

        def may_listen() -> bool:
            was_removed = came_as_member and not rooms.is_member(user_id, session_id)
            return credentials.stand(caller) and not was_removed

        message = partial(_message, gateway.store, user_id)
        stream = SessionStream(connection, gateway.pulse, may_listen, message)
        with gateway.news.listening(session_id, stream.hear) as listener:
            await self._begin(session_id, listener)
            await stream.serve(listener, send)

    async def _begin(self, session_id: int, listener: Listener) -> None:
        """Put all running replies before the news that have come meanwhile."""
        gateway = self._gateway
        for run in gateway.runs.of_session(session_id):
            exchange = run.exchange
            ids = (exchange.assistant_message_id, exchange.user_message_id)
            listener.hear(ReplyStarted(run.stream_id, *ids))
        if gateway.relay is None:
            return
        elsewhere = await gateway.relay.replies.in_session(session_id)
        waiting: list[News] = []
        while (news := listener.take()) is not None:
            waiting.append(news)
        told = {each.stream_id for each in waiting if isinstance(each, ReplyStarted)}
        for reply in elsewhere:
            if reply.stream_id not in told:
                listener.hear(ReplyStarted(reply.stream_id, reply.message_id, reply.question_id))
        for news in waiting:
            listener.hear(news)


async def _message(store: MessageStore, user_id: str, message_id: int) -> MessagePosted | None:
    try:
        return posted(await store.message(user_id, message_id))
    except NotFound:
        return None


class SessionStream(SseWriter):
    """One client's connection. may_listen: returns False once the key is revoked, the token expired, or the
    user was removed from the room.

    `serve` writes the events, not `hear`: they are few, and large attachments are encoded in a thread.

    message: reads a message that another gateway has stored; returns None if it was deleted.
    """

    __slots__ = ("_called", "_may_listen", "_message")

    def __init__(
        self,
        connection: Connection,
        pulse: Pulse,
        may_listen: Callable[[], bool],
        message: Callable[[int], Awaitable[MessagePosted | None]],
    ) -> None:
        super().__init__(connection, pulse)
        self._may_listen = may_listen
        self._message = message
        self._called = asyncio.Event()

    async def serve(self, listener: Listener, send: Send) -> None:
        """Answer the request. Returns when the client disconnects or `may_listen` returns False."""
        try:
            await self.begin(send)
            await self.put(send, PING)  # a client may take the stream for open only when bytes come
            while not (self.is_over or listener.closed):
                self._called.clear()
                while (news := listener.take()) is not None:
                    if isinstance(news, MessageStored):
                        try:
                            read = await self._message(news.message_id)
                        except StorageFailed:
                            listener.close()  # its client reconnects and reads the session again
                            break
                        if read is None:
                            continue
                        news = read
                    body = await unhurried(attached_bytes(news), partial(frame_of, news))
                    if not self._may_listen():
                        break
                    await self.put(send, body)
                if not self._may_listen():
                    break
                await self._called.wait()
            if not self.is_over:
                await self.put(send, b"", more=False)
        finally:
            self.leave()

    def hear(self) -> None:
        self._called.set()

    def beat(self, silent_since: float) -> None:
        if self._may_listen():
            super().beat(silent_since)
        else:
            self.hear()

    def connection_lost(self) -> None:
        super().connection_lost()
        self.hear()


def attached_bytes(news: News) -> int:
    return sum(map(size_of, parts_of(news.content))) if isinstance(news, MessagePosted) else 0


def frame_of(news: News) -> bytes:
    return data_frame(json_bytes(as_json(news)))


def as_json(news: News) -> dict[str, Any]:
    match news:
        case MessagePosted():
            told = {
                "type": "message",
                "message_id": news.message_id,
                "uuid": news.uuid,
                "author": author_view(news.author),
                "role": news.role,
                "content": text_of(news.content),
                "created_at": news.created_at.isoformat(),
                "origin": news.origin,
                "client_id": news.client_id,
            }
            if parts := parts_of(news.content):
                told["parts"] = [part.as_json() for part in parts]
            return told
        case MessageStored(message_id):
            return {"type": "message", "message_id": message_id}
        case ReplyStarted(stream_id, message_id, question_id):
            return {
                "type": "reply_started",
                "stream_id": stream_id,
                "assistant_message_id": message_id,
                "user_message_id": question_id,
            }
        case BranchChosen(leaf_id):
            return {"type": "branch_chosen", "leaf_id": leaf_id}
        case ReplyEnded(stream_id, message_id, status, reason):
            return {
                "type": "reply_ended",
                "stream_id": stream_id,
                "assistant_message_id": message_id,
                "status": status,
                "reason": reason,
            }
