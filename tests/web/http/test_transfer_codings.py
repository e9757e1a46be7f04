"""A body in a transfer coding other than `chunked` is refused, and nothing behind it is read as a request."""

import json

import pytest

from tests.web.client_socket import connected
from tests.web.http.test_upgrades import H2C, NEXT, Echo
from tests.web.sockets.test_hostile_sockets import handshake

BODY = b"5\r\nhello\r\n0\r\n\r\n"


def post(*lines: bytes) -> bytes:
    return b"POST /a HTTP/1.1\r\nHost: here\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + BODY


@pytest.mark.parametrize(
    "line", [b"Transfer-Encoding: chunked", b"tRANSFER-eNCODING:CHUNKED", b"Transfer-Encoding:\tchunked "]
)
async def test_chunks_are_read_however_they_are_written(line: bytes) -> None:
    echo = Echo()
    with connected(echo) as client:
        client.send(post(line) + NEXT)
        await client.until_answered()
        assert echo.asked == [("POST", "/a", b"hello"), ("GET", "/next", b"")]


@pytest.mark.parametrize("upgrade", [b"", H2C.removesuffix(b"\r\n")])
@pytest.mark.parametrize(
    "lines",
    [
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: identity, chunked",),
        (b"Transfer-Encoding: , chunked",),
        (b"transfer-encoding:\tX-GZIP,deflate,\tCHUNKED",),
        (b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
    ],
)
async def test_another_coding_is_not_implemented(lines: tuple[bytes, ...], upgrade: bytes) -> None:
    echo = Echo()
    with connected(echo) as client:
        client.send(post(*lines, *([upgrade] if upgrade else [])) + NEXT)
        assert client.socket.closed
        head, _, body = client.socket.written.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 501 Not Implemented\r\n")
        assert b"\r\nconnection: close" in head
        assert json.loads(body)["detail"].startswith("Transfer-Encoding may only be `chunked`, not `")
    assert echo.asked == []


@pytest.mark.parametrize(
    "lines",
    [
        (b"Transfer-Encoding: chunked, gzip",),
        (b"Transfer-Encoding: gzip",),
        (b"Transfer-Encoding: chunked, chunked",),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: identity", b"Content-Length: 17"),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 17"),
        (b"Content-Length: 17", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: gzip, chunked", b"Content-Length: 17"),
        (b"Transfer-Encoding: \x0bchunked",),
        (b"Transfer-Encoding : chunked",),
        (b"Transfer-Encoding:\r\n chunked",),
        (b"Transfer-Encoding:", b"Content-Length: 17"),
        (b"Content-Length: 17", b"Content-Length: 17"),
    ],
)
async def test_a_body_of_unsure_length_is_refused(lines: tuple[bytes, ...]) -> None:
    echo = Echo()
    with connected(echo) as client:
        client.send(post(*lines) + NEXT)
        assert client.socket.closed
        assert client.socket.written.startswith(b"HTTP/1.1 400 ")
        assert client.socket.written.count(b"HTTP/1.1") == 1
    assert echo.asked == []


@pytest.mark.parametrize(
    ("start", "line", "status"),
    [
        (b"GET /ws", b"Transfer-Encoding: gzip, chunked\r\n", 501),
        (b"GET ftp://here/ws", b"", 400),
    ],
)
async def test_a_handshake_is_refused_as_well(start: bytes, line: bytes, status: int) -> None:
    with connected(Echo()) as client:
        client.send(handshake().replace(b"GET /ws", start).replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n"))
        assert client.socket.closed
        assert client.socket.written.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("refused", "status"),
    [(post(b"Transfer-Encoding: gzip, chunked"), 501), (b"GET ftp://a/b HTTP/1.1\r\n\r\n", 400)],
)
async def test_a_later_request_of_a_connection_is_told_too(refused: bytes, status: int) -> None:
    echo = Echo()
    with connected(echo) as client:
        client.send(NEXT)
        await client.until_answered()
        client.send(refused + NEXT)
        assert client.socket.closed
        first, second = client.socket.written.split(b"HTTP/1.1 ")[1:]
        assert (first[:3], second[:3]) == (b"200", b"%d" % status)
    assert len(echo.asked) == 1


@pytest.mark.parametrize(
    "refused", [post(b"Transfer-Encoding: gzip, chunked"), b"GET ftp://a/b HTTP/1.1\r\n\r\n"]
)
async def test_a_refused_request_does_not_answer_the_one_before_it(refused: bytes) -> None:
    echo = Echo()
    with connected(echo) as client:
        client.send(NEXT + refused + NEXT)
        await client.until_answered()
        assert client.socket.written.startswith(b"HTTP/1.1 200 ")
        assert client.socket.written.count(b"HTTP/1.1") == 1
    assert len(echo.asked) == 1
