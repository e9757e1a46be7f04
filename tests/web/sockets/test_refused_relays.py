"""The error that a page gets if the gateway that makes its reply refuses the request."""

import json
from collections.abc import Sequence

import pytest

from gateway.web.chat.relayed_reply import RelayedReply
from gateway.web.http.asgi import ConnectionWatcher


class Socket:
    """Implements MessageConnection."""

    writable = True
    waiting_bytes = 0

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write_messages(self, messages: Sequence[bytes]) -> None:
        self.written += messages

    def abort(self) -> None: ...

    def watch(self, watcher: ConnectionWatcher | None) -> None: ...

    def accept_messages_of(self, max_bytes: int) -> None: ...

    def admit(self) -> None: ...


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"You have 4 running replies.", "You have 4 running replies."),
        (b'{"detail": "No such chat."}', "No such chat."),
        (b"", "The gateway that makes the reply refused the request."),
        (b"[]", "The gateway that makes the reply refused the request."),
    ],
)
async def test_a_page_is_told_why_the_request_was_refused(body: bytes, told: str) -> None:
    socket = Socket()
    reply = RelayedReply(socket, "r1", "local")
    await reply.send({"type": "http.response.start", "status": 429, "headers": []})
    await reply.send({"type": "http.response.body", "body": body})
    reply.end()
    assert [json.loads(message) for message in socket.written] == [
        {"type": "error", "requestId": "r1", "errorText": told}
    ]
