"""The WebSocket, and the ticket for it."""

from gateway.web.api import socket_tickets
from gateway.web.chat.ai_sdk_socket import AiSdkSocket
from gateway.web.http.endpoint import PUBLIC, AsgiEndpoint, Endpoint, JsonEndpoint, body_with_parts
from gateway.web.sockets.plain_socket import PlainSocket

SPEAKERS = (AiSdkSocket,)
"""The protocols on the WebSocket. A frame goes to the first one that takes it."""

SOCKETS: tuple[Endpoint, ...] = (
    AsgiEndpoint(
        method="WEBSOCKET",
        path="/ws",
        handler=lambda gateway: PlainSocket(gateway, SPEAKERS),
        name="socket",
        summary="The WebSocket of the AI SDK's transport",
        description="Frames `send`, `resume` and `abort`; docs/http.md describes them.",
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
