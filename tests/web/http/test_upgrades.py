"""`Upgrade` is ignored: the request is answered as if it did not stand there, body and all."""

import pytest

from gateway.web.http.asgi import Receive, Scope, Send
from tests.web.client_socket import connected

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
UPGRADES = [pytest.param(H2C, id="h2c"), pytest.param(WEBSOCKET, id="websocket")]
NEXT = b"GET /next HTTP/1.1\r\nHost: here\r\n\r\n"
BODIES = [
    pytest.param(b"Content-Length: %d\r\n\r\n" % len(NEXT) + NEXT, id="length"),
    pytest.param(
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(NEXT) + NEXT + b"\r\n0\r\n\r\n", id="chunks"
    ),
]


class Echo:
    """Answers with the body; keeps each request's method, path and header names."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        assert b"upgrade" not in [name for name, _ in scope["headers"]]
        self.asked.append((scope["method"], scope["path"], body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("framed", BODIES)
@pytest.mark.parametrize("cut_at", [0, 1, 30, -60, -20, -1])
async def test_the_body_is_read_and_is_no_next_request(upgrade: bytes, framed: bytes, cut_at: int) -> None:
    whole = b"POST /a?b=c HTTP/1.1\r\nHost: here\r\n" + upgrade + framed
    echo = Echo()
    with connected(echo) as client:
        client.send(whole[:cut_at])
        client.send(whole[cut_at:] + NEXT)
        await client.until_answered()
        assert echo.asked == [("POST", "/a", NEXT), ("GET", "/next", b"")]
        assert not client.socket.closed


@pytest.mark.parametrize("upgrade", UPGRADES)
async def test_a_connection_goes_on_behind_it(upgrade: bytes) -> None:
    echo = Echo()
    with connected(echo) as client:
        for _ in range(3):
            client.send(b"GET /first HTTP/1.1\r\nHost: here\r\n" + upgrade + b"\r\n" + NEXT)
            await client.until_answered()
        assert [path for _, path, _ in echo.asked] == ["/first", "/next"] * 3


@pytest.mark.parametrize("target", [b"here:80", b"/", b"*"])
async def test_connect_ends_the_connection(target: bytes) -> None:
    with connected(Echo()) as client:
        client.send(b"CONNECT %b HTTP/1.1\r\nHost: here\r\n\r\n" % target + NEXT)
        assert client.socket.closed
        assert client.socket.written.startswith(b"HTTP/1.1 400 ")
        assert client.socket.written.count(b"HTTP/1.1") == 1
