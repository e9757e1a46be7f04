"""`/ws`: one WebSocket for all protocols of JSON frames, told apart by the fields of a frame."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from gateway.contract.errors import GatewayError
from gateway.contract.limits import StreamPlace
from gateway.core.key_ring import Caller
from gateway.dialects.json_encoding import json_bytes, with_whole_characters
from gateway.web.door.callers import CALLER
from gateway.web.door.credentials import key_of, ticket_of
from gateway.web.door.socket_callers import socket_caller
from gateway.web.http.asgi import Message, Receive, Scope, Send
from gateway.web.http.large_bodies import unhurried
from gateway.web.http.message_connection import socket_of
from gateway.web.http.refusal_log import log_refusal
from gateway.web.services import Services
from gateway.web.sockets.speaker import MAX_REFUSED, BadFrame, Frame, OpenSocket, Speaker

log = logging.getLogger("sluice.web")

ADMITTED_WITHIN_S = 10.0
"""Maximum seconds until a client has sent a frame with valid credentials."""

POLICY_VIOLATION, INTERNAL_ERROR = 1008, 1011
"""Close codes. Source: RFC 6455, 7.4.1."""

MakeSpeaker = Callable[[OpenSocket], Speaker]


class PlainSocket:
    """The endpoint. speakers: make the protocols that a client may speak on it."""

    def __init__(self, gateway: Services, speakers: Sequence[MakeSpeaker]) -> None:
        self._gateway = gateway
        self._speakers = speakers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = ClientSocket(self._gateway, scope)
        if (await receive())["type"] != "websocket.connect":
            return
        try:
            await socket.check_handshake()
            await send({"type": "websocket.accept"})
            async with asyncio.TaskGroup() as socket.tasks:
                close = await self._serve(socket, receive)
        finally:
            socket.close()
        if close is not None:
            code, reason = close
            await send({"type": "websocket.close", "code": code, "reason": reason[:120]})

    async def _serve(self, socket: "ClientSocket", receive: Receive) -> tuple[int, str] | None:
        """Return the code and reason for closing the socket; None if the client has closed it."""
        speakers = [make(socket) for make in self._speakers]
        socket.connection.watch(_Watcher(speakers))
        code, reason = POLICY_VIOLATION, ""
        try:
            async with asyncio.timeout(ADMITTED_WITHIN_S) as until_admitted:
                socket.deadline = until_admitted
                while (message := await receive())["type"] == "websocket.receive":
                    await _hear(speakers, message)
                    if socket.caller is not None and not socket.end_reason:
                        until_admitted.reschedule(None)
                    elif socket.refused >= MAX_REFUSED:
                        raise BadFrame("Too many frames had no valid credentials.")
            return None
        except BadFrame as error:
            socket.log_refusal(error)
            reason = str(error)
        except TimeoutError:
            reason = socket.end_reason or f"No request came within {ADMITTED_WITHIN_S:g} s."
        except Exception:
            log.exception("a frame of a WebSocket failed with an unexpected error")
            code = INTERNAL_ERROR
        finally:
            socket.connection.watch(None)
            for speaker in speakers:
                speaker.leave()
        return code, reason


class ClientSocket:
    """Implements OpenSocket.

    Attributes:
        caller: that of the latest admitted frame; None before the first.
        refused: number of frames whose credentials were refused.
        deadline: of the socket.
        end_reason: set once the socket is to be closed.
    """

    tasks: asyncio.TaskGroup

    def __init__(self, gateway: Services, scope: Scope) -> None:
        self._gateway = gateway
        self._place: StreamPlace | None = None
        self.scope = scope
        self.connection = socket_of(scope)
        self.caller: Caller | None = None
        self.refused = 0
        self.deadline: asyncio.Timeout | None = None
        self.end_reason = ""

    async def check_handshake(self) -> None:
        """Raise a GatewayError if the handshake has invalid credentials. It may have none."""
        if (
            ticket_of(self.scope) is not None
            or key_of(self.scope) is not None
            or not self._gateway.keys.closed
        ) and await self._has_place(await self._known_caller({})):
            self._know()

    async def _has_place(self, caller: Caller) -> bool:
        """Return True if the caller is known before its first frame: without a place, a key could have any
        number of sockets on which large frames begin."""
        if caller.allowance is None:
            return True
        with suppress(GatewayError):  # the answer to the first frame tells it
            self._place = await self._gateway.listeners.take(caller.allowance.streams)
        return self._place is not None

    async def admit(self, headers: Mapping[str, str], ticket: str | None = None) -> Caller:
        try:
            caller = await self._known_caller(headers, ticket)
            if caller.allowance is not None:
                await self._gateway.rates.spend(caller.allowance.requests)
                if self._place is None:
                    self._place = await self._gateway.listeners.take(caller.allowance.streams)
        except GatewayError:
            self.refused += 1
            raise
        if self.caller is None:
            self._know()
        self.caller = caller
        return caller

    def write(self, message: Mapping[str, Any]) -> None:
        self.connection.write_messages([json_bytes(message)])

    def end(self, reason: str) -> None:
        self.end_reason = self.end_reason or reason
        if self.deadline is not None:
            self.deadline.reschedule(asyncio.get_running_loop().time())

    def log_refusal(self, error: GatewayError) -> None:
        log_refusal({**self.scope, CALLER: self.caller}, error)

    def close(self) -> None:
        if self._place is not None:
            self._place.leave()

    def _know(self) -> None:
        self.connection.accept_messages_of(self._gateway.max_message_bytes)
        self.connection.admit()

    async def _known_caller(self, headers: Mapping[str, str], ticket: str | None = None) -> Caller:
        own = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        return await socket_caller(self._gateway, self.scope, key_of({"headers": own}), ticket)


class _Watcher:
    """Tells all speakers that the socket is writable, also when it is lost, so that none waits for it."""

    def __init__(self, speakers: Sequence[Speaker]) -> None:
        self._speakers = speakers

    def connection_lost(self) -> None:
        self.connection_writable()

    def connection_writable(self) -> None:
        for speaker in self._speakers:
            speaker.connection_writable()


async def _hear(speakers: Sequence[Speaker], message: Message) -> None:
    said = message.get("text")
    raw = (message.get("bytes") or b"") if said is None else said.encode("utf-8", "replace")
    frame: Frame = await unhurried(len(raw), partial(_decoded, raw))
    for speaker in speakers:
        if speaker.takes(frame):
            await speaker.hear(frame)
            return
    raise BadFrame("A frame must be a JSON object with a known type.")


def _decoded(raw: bytes) -> Frame:
    try:
        try:
            return _frame_of(raw)
        except msgspec.DecodeError:
            return _frame_of(with_whole_characters(raw))
    except (ValueError, RecursionError):  # msgspec's errors, and those of UTF-8, are ValueErrors
        raise BadFrame("A frame must be a JSON object.") from None


def _frame_of(raw: bytes) -> Frame:
    return Frame(raw, msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
