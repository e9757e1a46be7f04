"""The AI SDK's WebSocket transport: many chats of one page on one socket.

Source: `WebSocketChatTransport` of the package `ai`, from 7.0.135 on.
"""

import logging
from contextlib import ExitStack
from typing import Annotated, Literal

import msgspec

from gateway.contract.errors import GatewayError, TooManyStreams, Unprocessable
from gateway.contract.journal import START
from gateway.contract.reply_owners import ReplyOwner
from gateway.core.key_ring import Caller
from gateway.dialects.ai_sdk import AiSdk
from gateway.web.chat.ai_sdk_chats import resumed, running_reply
from gateway.web.chat.ai_sdk_form import UiChatForm
from gateway.web.chat.fetch_spans import fetching
from gateway.web.chat.forms import accept, begin
from gateway.web.chat.relayed_reply import RelayedReply
from gateway.web.chat.socket_reply import SocketReply
from gateway.web.door.callers import CALLER, caller_of
from gateway.web.http.asgi import Message, Scope
from gateway.web.http.traced_requests import socket_request_span
from gateway.web.relay.relay import RunsElsewhere
from gateway.web.services import Services
from gateway.web.sockets.speaker import BadFrame, Frame, OpenSocket

log = logging.getLogger("sluice.web")

MAX_REQUESTS = 32
"""Requests of one socket that are answered at the same time."""

MAX_HEADERS_CHARS = 16 * 1024

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class ClientFrame(msgspec.Struct, rename="camel"):
    """A frame of the client. Other fields are ignored: a resumed reply begins at sequence 0."""

    type: Literal["send", "resume", "abort"]
    request_id: Name
    id: Name | None = None
    trigger: msgspec.Raw = msgspec.Raw(b"null")
    message_id: msgspec.Raw = msgspec.Raw(b"null")
    messages: msgspec.Raw = msgspec.Raw(b"null")
    headers: dict[str, str] = {}
    body: dict[str, msgspec.Raw] = {}

    @property
    def as_post(self) -> bytes:
        """The body of the same request over HTTP."""
        own = {"id": self.id, "messages": self.messages}
        own |= {"trigger": self.trigger, "messageId": self.message_id}
        return msgspec.json.encode({**self.body, **own})


class AiSdkSocket:
    """Answers the frames of one socket. Its requests end with it; resumable replies go on."""

    def __init__(self, gateway: Services, socket: OpenSocket) -> None:
        self._gateway = gateway
        self._socket = socket
        self._replies: dict[str, SocketReply | RelayedReply] = {}

    def takes(self, frame: Frame) -> bool:
        return "type" in frame.fields

    async def hear(self, frame: Frame) -> None:
        request = _read(frame)
        if isinstance(request, Unprocessable):
            self._refuse(_request_id(frame), request)
            return
        try:
            if request.type == "abort":
                self._abort(request)
            else:
                await self._answer(request)
        except GatewayError as error:
            self._refuse(request.request_id, error)
        except Exception:
            log.exception("a request on a WebSocket failed with an unexpected error")
            self._tell("error", request.request_id, errorText="Internal error of the gateway: see its log.")

    def connection_writable(self) -> None:
        for reply in list(self._replies.values()):
            reply.hear()

    def leave(self) -> None:
        for reply in list(self._replies.values()):
            reply.leave()
        self._replies.clear()

    async def _answer(self, request: ClientFrame) -> None:
        caller = await self._socket.admit(request.headers)
        if request.id is None:
            raise Unprocessable("The request does not fit: id: is required.", {"id": "is required"})
        if request.request_id in self._replies:
            raise Unprocessable("The request does not fit: requestId: is in use.", {"requestId": "is in use"})
        if len(self._replies) >= MAX_REQUESTS:
            raise TooManyStreams(f"There are {MAX_REQUESTS} open requests on this socket, the maximum.")
        scope = _scope_of(self._socket.scope, request, caller)
        with ExitStack() as until_answered:
            until_answered.enter_context(socket_request_span(self._gateway.traces, scope))
            try:
                if request.type == "send":
                    await self._send(request, scope, until_answered)
                else:
                    await self._resume(request, scope, until_answered)
            except RunsElsewhere as found:
                self._relay(request, scope, found.owner, until_answered)

    async def _send(self, request: ClientFrame, scope: Scope, until_answered: ExitStack) -> None:
        body = request.as_post

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        asked = await accept(self._gateway, UiChatForm().read, scope, receive)
        stream_id = await begin(self._gateway, asked)
        assert isinstance(asked.dialect, AiSdk)  # noqa: S101 - UiChatForm has no other
        await self._follow(request, stream_id, caller_of(scope), asked.dialect, until_answered)

    async def _resume(self, request: ClientFrame, scope: Scope, until_answered: ExitStack) -> None:
        assert request.id is not None  # noqa: S101 - checked by _answer
        caller = caller_of(scope)
        run = await running_reply(self._gateway, caller.user_id, request.id)
        if run is None:
            self._tell("no-active", request.request_id)
        else:
            reading = fetching(self._gateway, scope, run.stream_id, caller.user_id, START)
            until_answered.enter_context(reading)
            dialect = await resumed(self._gateway, caller.user_id, run)
            await self._follow(request, run.stream_id, caller, dialect, until_answered)

    async def _follow(
        self, request: ClientFrame, stream_id: str, caller: Caller, dialect: AiSdk, until_answered: ExitStack
    ) -> None:
        reply = SocketReply(self._gateway, self._socket.connection, request.request_id, dialect)
        self._hold(request.request_id, reply, until_answered)
        try:
            await reply.follow(stream_id, caller.user_id)
        except BaseException:
            reply.leave()
            raise
        reply.held.push(until_answered.pop_all())

    def _hold(self, request_id: str, reply: SocketReply | RelayedReply, until_answered: ExitStack) -> None:
        def forget() -> None:
            if self._replies.get(request_id) is reply:
                del self._replies[request_id]

        until_answered.callback(forget)
        self._replies[request_id] = reply

    def _relay(
        self, request: ClientFrame, scope: Scope, owner: ReplyOwner | None, until_answered: ExitStack
    ) -> None:
        reply = RelayedReply(self._socket.connection, request.request_id, caller_of(scope).user_id)
        self._hold(request.request_id, reply, until_answered)
        passing = self._pass_on(request, scope, owner, reply, until_answered.pop_all())
        self._socket.tasks.create_task(passing)

    async def _pass_on(
        self,
        request: ClientFrame,
        scope: Scope,
        owner: ReplyOwner | None,
        reply: RelayedReply,
        until_answered: ExitStack,
    ) -> None:
        """Send the reply as the other gateway sends it, or from here if this gateway takes it over before."""
        relay = self._gateway.relay
        assert relay is not None  # noqa: S101 - nothing runs elsewhere without other gateways
        is_here = False

        async def handle_here() -> None:
            nonlocal is_here
            with ExitStack() as until_answered_here:
                await self._resume(request, scope, until_answered_here)
            is_here = True

        with until_answered:
            try:
                asked = reply.scope_of(scope, request.id or "")
                await relay.answer(owner, asked, reply.send, b"", handle_here)
                if not is_here:
                    reply.end()
            except GatewayError as error:
                self._socket.log_refusal(error)
                reply.fail(str(error))
            except Exception:
                log.exception("a reply could not be relayed to a WebSocket")
                reply.fail("Internal error of the gateway: see its log.")

    def _abort(self, request: ClientFrame) -> None:
        """Stop the reply. Ignore unknown ids: the reply may have ended meanwhile."""
        reply = self._replies.get(request.request_id)
        if isinstance(reply, RelayedReply):
            if reply.stream_id:
                self._socket.tasks.create_task(self._stop(reply.stream_id, reply.user_id))
        elif reply is not None:
            reply.stop()

    async def _stop(self, stream_id: str, user_id: str) -> None:
        try:
            await self._gateway.stops.stop(stream_id, user_id)
        except GatewayError as error:
            self._socket.log_refusal(error)

    def _refuse(self, request_id: str, error: GatewayError) -> None:
        self._socket.log_refusal(error)
        self._tell("error", request_id, errorText=str(error))

    def _tell(self, kind: str, request_id: str, **more: str) -> None:
        self._socket.write({"type": kind, "requestId": request_id, **more})


def _read(frame: Frame) -> ClientFrame | Unprocessable:
    """Return the request, or what is wrong with it. Raises BadFrame without a usable `requestId`."""
    try:
        request = msgspec.json.decode(frame.raw, type=ClientFrame)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        _request_id(frame)
        return Unprocessable(f"The request does not fit: {error}.")
    if sum(len(name) + len(value) for name, value in request.headers.items()) > MAX_HEADERS_CHARS:
        return Unprocessable(f"The request does not fit: headers: more than {MAX_HEADERS_CHARS} characters.")
    return request


def _request_id(frame: Frame) -> str:
    try:
        return msgspec.json.decode(frame.fields.get("requestId", b"null"), type=Name)
    except msgspec.MsgspecError:
        raise BadFrame("A frame of a chat must have a requestId of 1 to 256 characters.") from None


def _scope_of(handshake: Scope, request: ClientFrame, caller: Caller) -> Scope:
    """Return the ASGI scope of the same request over HTTP."""
    headers = request.headers.items()
    raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers]
    return {
        **handshake,
        "type": "http",
        "method": "POST" if request.type == "send" else "GET",
        "path": "/api/chat",
        "query_string": b"",
        "headers": raw,
        CALLER: caller,
    }
