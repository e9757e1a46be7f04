"""The WebSocket, and the ticket for it."""

from collections.abc import Awaitable
from functools import partial

from gateway.web.api import socket_tickets
from gateway.web.chat.ai_sdk_socket import AiSdkSocket
from gateway.web.http.asgi import App, Receive, Scope, Send
from gateway.web.http.endpoint import PUBLIC, AsgiEndpoint, Endpoint, JsonEndpoint, body_with_parts
from gateway.web.services import Services
from gateway.web.socket_io.endpoint import MAX_PACKET_BYTES, SocketIo, is_of_socket_io
from gateway.web.sockets.plain_socket import PlainSocket
from gateway.web.sockets.room_services import room_services
from gateway.web.sockets.room_speaker import RoomSpeaker


def _plain_or_socket_io(gateway: Services) -> App:
    """Return the endpoint at `/ws`. A frame goes to the first protocol that takes it."""
    plain = PlainSocket(
        gateway, [partial(RoomSpeaker, gateway, room_services(gateway)), partial(AiSdkSocket, gateway)]
    )
    socket_io = SocketIo(gateway)

    def call(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return (socket_io if is_of_socket_io(scope) else plain)(scope, receive, send)

    return call


def _socket_io(path: str) -> AsgiEndpoint:
    return AsgiEndpoint(
        method="*",
        path=path,
        handler=SocketIo,
        name="socket_io",
        summary="Rooms by socket.io",
        description="Long polls and WebSockets of Engine.IO 4; docs/http.md describes the events.",
        tag="rooms",
        scopes=PUBLIC,  # a client sends its key when it connects to a namespace; SocketIoServer checks it
        text_body=True,
        max_body_bytes=lambda _: MAX_PACKET_BYTES,
    )


# Clients put a slash behind their `path`, unless they are configured otherwise.
SOCKET_IO = tuple(map(_socket_io, ("/socket.io/", "/socket.io", "/ws/")))

SOCKETS: tuple[Endpoint, ...] = (
    AsgiEndpoint(
        method="WEBSOCKET",
        path="/ws",
        handler=_plain_or_socket_io,
        name="socket",
        summary="The WebSocket of rooms, and of the AI SDK's transport",
        description="Rooms: JSON objects with `event` and `data`. The AI SDK: frames `send`, `resume` and "
        "`abort`. docs/http.md describes both.",
        tag="ai-sdk",
        scopes=PUBLIC,  # each frame has its own key; PlainSocket checks it
        max_body_bytes=body_with_parts,
    ),
    JsonEndpoint(
        method="POST",
        path="/ws/ticket",
        handler=socket_tickets.issue_ticket,
        name="issue_socket_ticket",
        summary="A ticket for the WebSocket",
        description="For browsers, whose WebSocket cannot send an API key. The AI SDK's transport can also "
        "send the key in the headers of its frames.",
        tag="ai-sdk",
    ),
)
