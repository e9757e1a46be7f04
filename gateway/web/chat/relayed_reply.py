"""A reply that another gateway makes, on a WebSocket of the AI SDK."""

import asyncio

import msgspec

from gateway.dialects.json_encoding import json_bytes
from gateway.web.http.asgi import CONNECTION, ConnectionWatcher, Message, Scope
from gateway.web.http.message_connection import MessageConnection

_DONE = b"[DONE]"


class RelayedReply:
    """Sends the stream of the gateway that makes the reply, as numbered chunks.

    It is the Connection of the relayed request: the relay watches whether its client is there, and aborts it
    if the other gateway breaks off.

    Attributes:
        user_id: who asked.
        stream_id: empty before the other gateway has answered.
        broke_off: True if the other gateway broke off its answer.
    """

    def __init__(self, connection: MessageConnection, request_id: str, user_id: str) -> None:
        self._connection = connection
        self._named = b'"requestId":' + json_bytes(request_id)
        self._sequence = 0
        self._status = 0
        self._rest = b""
        self._is_over = self._has_left = False
        self._watcher: ConnectionWatcher | None = None
        self._may_write = asyncio.Event()
        self.stream_id = ""
        self.user_id = user_id
        self.broke_off = False

    def scope_of(self, scope: Scope, chat_id: str) -> Scope:
        """Return the ASGI scope of a request for the chat's running reply."""
        return {
            **scope,
            "method": "GET",
            "path": f"/api/chat/{chat_id}/stream",
            "query_string": b"",
            "headers": [(b"accept", b"text/event-stream")],
            "extensions": {**scope.get("extensions", {}), CONNECTION: self},
        }

    async def send(self, message: Message) -> None:
        """Take a message of the other gateway's response. Returns when the client can get more."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self.stream_id = dict(message["headers"]).get(b"sluice-stream-id", b"").decode("latin-1")
            if self._status == 200:
                self._write([b'{"type":"start",%b}' % self._named])
            return
        self._rest += message.get("body", b"")
        if self._status == 200:
            *frames, self._rest = self._rest.split(b"\n\n")
            told = [self._told(data) for frame in frames if (data := _data_in(frame)) is not None]
            self._write(told)
            while not (self._connection.writable or self._has_left):
                self._may_write.clear()
                await self._may_write.wait()
        elif not message.get("more_body") and self._status == 204:
            self._is_over = True
            self._write([b'{"type":"no-active",%b}' % self._named])
        elif not message.get("more_body"):
            self.fail(_detail(self._rest))

    def end(self) -> None:
        """The response is over. If the reply is not, tell the client."""
        if not (self._is_over or self._has_left):
            self.fail("The gateway that makes the reply broke off: resume the reply.")

    def fail(self, text: str) -> None:
        """Send an error, after which nothing follows."""
        self._is_over = True
        self._write([b'{"type":"error",%b,"errorText":%b}' % (self._named, json_bytes(text))])

    def hear(self) -> None:
        """The connection may be writable again."""
        self._may_write.set()

    def leave(self) -> None:
        """The client needs nothing more."""
        self._has_left = True
        self._lost()

    def abort(self) -> None:
        self.broke_off = True
        self._lost()

    @property
    def writable(self) -> bool:
        return self._connection.writable

    def write_chunk(self, body: bytes) -> None:
        raise NotImplementedError("the relay sends through `send`")

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        self._watcher = watcher
        if self._has_left or self.broke_off:
            self._lost()

    def _lost(self) -> None:
        self._may_write.set()
        if self._watcher is not None:
            self._watcher.connection_lost()

    def _told(self, data: bytes) -> bytes:
        if data == _DONE:
            self._is_over = True
            return b'{"type":"end",%b}' % self._named
        number, self._sequence = self._sequence, self._sequence + 1
        return b'{"type":"chunk",%b,"sequence":%d,"chunk":%b}' % (self._named, number, data)

    def _write(self, messages: list[bytes]) -> None:
        if messages and not self._has_left:
            self._connection.write_messages(messages)


def _data_in(frame: bytes) -> bytes | None:
    """Return the data of a frame. A heartbeat has no blank line, so that it is in the next event's frame."""
    return next((line[6:] for line in frame.split(b"\n") if line.startswith(b"data: ")), None)


def _detail(body: bytes) -> str:
    """Return the text of an error in a response's body, which is plain text for the AI SDK."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = {"detail": body.decode("utf-8", "replace")}
    detail = told.get("detail") or told.get("error") if isinstance(told, dict) else None
    return detail if isinstance(detail, str) else "The gateway that makes the reply refused the request."
