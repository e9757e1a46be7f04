"""`/ws`: one WebSocket for all protocols of JSON frames, told apart by the fields of a frame."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from gateway.contract.errors import GatewayError
from gateway.core.key_ring import Caller
from gateway.core.rate_limits import StreamPlace
from gateway.dialects.json_encoding import json_bytes
from gateway.web.door.callers import CALLER, LOCAL
from gateway.web.door.credentials import Credentials, key_of, ticket_of
from gateway.web.door.ticket_subjects import SOCKET_SUBJECT
from gateway.web.http.asgi import Message, Receive, Scope, Send
from gateway.web.http.endpoint import CHAT
from gateway.web.http.large_bodies import unhurried
from gateway.web.http.message_connection import socket_of
from gateway.web.http.refusal_log import log_refusal
from gateway.web.services import Services
from gateway.web.sockets.speaker import BadFrame, Frame, OpenSocket, Speaker

log = logging.getLogger("sluice.web")

ADMITTED_WITHIN_S = 10.0
"""Maximum seconds until a client has sent a frame with valid credentials."""

MAX_REFUSED = 16
"""Frames with invalid credentials after which a socket is closed."""

POLICY_VIOLATION, INTERNAL_ERROR = 1008, 1011
"""Close codes. Source: RFC 6455, 7.4.1."""

MakeSpeaker = Callable[[Services, OpenSocket], Speaker]


class PlainSocket:
    """The endpoint. speakers: make the protocols that a client may speak on it."""

    def __init__(self, gateway: Services, speakers: Sequence[MakeSpeaker]) -> None:
        self._gateway = gateway
        self._speakers = speakers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = ClientSocket(self._gateway, scope)
        if (await receive())["type"] != "websocket.connect":
            return
        await socket.check_handshake()
        await send({"type": "websocket.accept"})
        speakers = [make(self._gateway, socket) for make in self._speakers]
        socket.connection.watch(_Watcher(speakers))
        code, reason = POLICY_VIOLATION, ""
        try:
            async with asyncio.timeout(ADMITTED_WITHIN_S) as until_admitted:
                while (message := await receive())["type"] == "websocket.receive":
                    await _hear(speakers, message)
                    if socket.caller is not None:
                        until_admitted.reschedule(None)
                    elif socket.refused >= MAX_REFUSED:
                        raise BadFrame("Too many frames had no valid credentials.")
            return  # the client has closed it
        except BadFrame as error:
            socket.log_refusal(error)
            reason = str(error)
        except TimeoutError:
            reason = f"No request came within {ADMITTED_WITHIN_S:g} s."
        except Exception:
            log.exception("a frame of a WebSocket failed with an unexpected error")
            code = INTERNAL_ERROR
        finally:
            socket.connection.watch(None)
            for speaker in speakers:
                speaker.leave()
            socket.close()
        await send({"type": "websocket.close", "code": code, "reason": reason[:120]})


class ClientSocket:
    """Implements OpenSocket.

    Attributes:
        caller: that of the latest admitted frame; None before the first.
        refused: number of frames whose credentials were refused.
    """

    def __init__(self, gateway: Services, scope: Scope) -> None:
        self._gateway = gateway
        self._credentials = Credentials(gateway)
        self._place: StreamPlace | None = None
        self.scope = scope
        self.connection = socket_of(scope)
        self.caller: Caller | None = None
        self.refused = 0

    async def check_handshake(self) -> None:
        """Raise a GatewayError if the handshake has invalid credentials. It may have none."""
        if (
            ticket_of(self.scope) is not None
            or key_of(self.scope) is not None
            or not self._gateway.keys.closed
        ):
            await self._known_caller({})
            self.connection.accept_messages_of(self._gateway.max_message_bytes)

    async def admit(self, headers: Mapping[str, str]) -> Caller:
        try:
            caller = await self._known_caller(headers)
            if caller.allowance is not None:
                await self._gateway.rates.spend(caller.allowance.requests)
                if self._place is None:
                    self._place = self._gateway.listeners.take(caller.allowance.streams)
        except GatewayError:
            self.refused += 1
            raise
        if self.caller is None:
            self.connection.accept_messages_of(self._gateway.max_message_bytes)
        self.caller = caller
        return caller

    def write(self, message: Mapping[str, Any]) -> None:
        self.connection.write_messages([json_bytes(message)])

    def log_refusal(self, error: GatewayError) -> None:
        log_refusal({**self.scope, CALLER: self.caller}, error)

    def close(self) -> None:
        if self._place is not None:
            self._place.leave()

    async def _known_caller(self, headers: Mapping[str, str]) -> Caller:
        gateway = self._gateway
        await gateway.keys.be_fresh()
        own = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        key = key_of({"headers": own}) or key_of(self.scope)
        ticket = ticket_of(self.scope)
        if ticket is not None and key is None:
            return self._credentials.ticket_holder(ticket, SOCKET_SUBJECT)
        return await self._credentials.holder(key, CHAT) if gateway.keys.closed else LOCAL


class _Watcher:
    """Tells all speakers that the socket is writable. A lost one ends `receive`."""

    def __init__(self, speakers: Sequence[Speaker]) -> None:
        self._speakers = speakers

    def connection_lost(self) -> None:
        pass

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
        return Frame(raw, msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadFrame("A frame must be a JSON object.") from None
