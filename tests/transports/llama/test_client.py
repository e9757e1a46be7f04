"""HTTP over a socket: every way an answer can be cut, delimited, broken off, garbled, late or unread."""

import asyncio
import contextlib
import os
import resource
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from gateway.contract.errors import Overloaded
from tests.small_server import serving
from tests.transports.llama import captures
from tests.transports.llama.raw_server import Ending, RawServer, raw_server
from transports.llama.client import ModelServerClient
from transports.llama.connector import Connector
from transports.llama.failures import before_answer
from transports.llama.http_exchange import MAX_HEAD_BYTES, HttpExchange

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: x\r\n\r\n"
)
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nhello, world"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nhello, world"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as server:
        yield server


async def answer(
    server: RawServer,
    content: bytes = b"{}",
    *,
    connect_s: float | None = None,
    idle_s: float | None = None,
) -> HttpExchange:
    client = ModelServerClient(server.url, connect_s=connect_s, idle_s=idle_s)
    return await client.post(b"/v1/chat?a=b", content)


async def items(exchange: HttpExchange) -> list[bytes]:
    heard: list[bytes] = []
    await exchange.push(heard.append)
    return heard


def cut(raw: bytes, *edges: int) -> list[bytes]:
    starts = [0, *edges]
    return [raw[start:end] for start, end in zip(starts, [*edges, len(raw)], strict=True)]


@pytest.mark.parametrize("name", captures.STREAMS)
async def test_a_real_answer_that_trickles_in_is_read_whole(server: RawServer, name: str) -> None:
    raw = captures.chunked(name)
    server.answer = cut(raw, *range(1, len(raw)))
    async with asyncio.timeout(30):
        response = await answer(server)
        assert response.status == 200
        assert response.header(b"content-type") == "text/event-stream"
        assert b"".join(await items(response)) == captures.body(name)


@pytest.mark.parametrize("raw", [CHUNKED, SIZED, UNTIL_CLOSE], ids=["chunked", "sized", "until close"])
async def test_an_answer_may_be_cut_at_any_byte(server: RawServer, raw: bytes) -> None:
    async with asyncio.timeout(30):
        for at in range(1, len(raw)):
            server.answer, server.ending = cut(raw, at), "close" if raw is UNTIL_CLOSE else "stay"
            response = await answer(server)
            assert (response.status, b"".join(await items(response))) == (200, b"hello, world")


async def test_an_answer_without_a_body_ends_at_once(server: RawServer) -> None:
    server.answer = [EMPTY]
    async with asyncio.timeout(30):
        assert await items(await answer(server)) == []


async def test_what_came_while_nobody_read_is_one_item(server: RawServer) -> None:
    raw = CHUNKED.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    server.answer = cut(raw, *range(1, len(raw)))
    async with asyncio.timeout(30):
        response = await answer(server)
        await server.peers[0].gone.wait()  # the client hangs up as soon as it has everything
        assert await items(response) == [b"hello, world"]


async def test_the_request_is_sent_as_it_is(server: RawServer) -> None:
    server.answer = [EMPTY]
    async with asyncio.timeout(30):
        await answer(server, b'{"a":1}')
    head, _, body = server.peers[0].received.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat?a=b HTTP/1.1\r\n")
    assert body == b'{"a":1}'
    lines = head.lower().split(b"\r\n")
    assert b"content-length: 7" in lines
    assert b"host: " + server.url.removeprefix("http://").encode() in lines


@pytest.mark.parametrize(
    ("trace", "sent"),
    [("00-1-2-01", True), ("00-1\r\nAuthorization: other", False), ("00\u2028", False)],
    ids=["plain", "two lines", "no ASCII"],
)
async def test_a_trace_is_sent_where_it_is_a_headers_value(server: RawServer, trace: str, sent: bool) -> None:
    server.answer = [EMPTY]
    async with asyncio.timeout(30):
        await ModelServerClient(server.url).post(b"/", b"{}", trace)
    received = server.peers[0].received
    assert (b"\r\ntraceparent: 00-1-2-01\r\n" in received) is sent
    assert b"Authorization" not in received


async def test_a_path_before_the_apis_own_is_kept(server: RawServer) -> None:
    server.answer = [EMPTY]
    async with asyncio.timeout(30):
        await ModelServerClient(f"{server.url}/a%20b/", api_key="k").get(b"/health")
    head = server.peers[0].received
    assert head.startswith(b"GET /a%20b/health HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer k\r\n" in head


async def test_interim_answers_are_passed_over(server: RawServer) -> None:
    server.answer = [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SIZED]
    async with asyncio.timeout(30):
        response = await answer(server)
        assert response.status == 200
        assert response.header(b"link") is None
        assert b"".join(await items(response)) == b"hello, world"


async def test_a_second_answer_is_not_part_of_the_first(server: RawServer) -> None:
    server.answer = [(SIZED.replace(b"Connection: close\r\n", b"")) * 2]
    async with asyncio.timeout(30):
        assert b"".join(await items(await answer(server))) == b"hello, world"


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-"], ids=["nothing", "half a head"])
async def test_hanging_up_before_the_head_is_a_read_error(
    server: RawServer, said: bytes, ending: Ending
) -> None:
    server.answer, server.ending = [said] if said else [], ending
    async with asyncio.timeout(30):
        with pytest.raises(httpx.ReadError):
            await answer(server)


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("raw", [CHUNKED, SIZED], ids=["chunked", "sized"])
async def test_hanging_up_in_the_middle_is_a_read_error(
    server: RawServer, raw: bytes, ending: Ending
) -> None:
    server.answer, server.ending = [raw[:-8]], ending
    async with asyncio.timeout(30):
        with pytest.raises(httpx.ReadError):
            await items(await answer(server))


async def test_a_body_that_ends_with_the_connection_does_not_end_with_a_reset(server: RawServer) -> None:
    server.answer, server.ending = [UNTIL_CLOSE], "reset"
    async with asyncio.timeout(30):
        with pytest.raises(httpx.ReadError):
            await items(await answer(server))


async def test_what_came_before_the_end_is_given_before_the_error(server: RawServer) -> None:
    server.answer, server.ending = [SIZED[:-5]], "close"
    async with asyncio.timeout(30):
        response = await answer(server)
        await server.peers[0].gone.wait()
        heard: list[bytes] = []
        with pytest.raises(httpx.ReadError):
            await response.push(heard.append)
        assert b"".join(heard) == b"hello, "


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x50", id="TLS"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="an upgrade"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * MAX_HEAD_BYTES, id="an endless line"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MAX_HEAD_BYTES, id="endless lines"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_HEAD_BYTES, id="endless interim answers"),
    ],
)
async def test_what_is_no_http_is_a_protocol_error(server: RawServer, garbage: bytes) -> None:
    server.answer = [garbage]
    async with asyncio.timeout(30):
        with pytest.raises(httpx.RemoteProtocolError):
            await answer(server)
        await server.peers[0].gone.wait()


@pytest.mark.parametrize("reads", [1, 2], ids=["with the head", "later"])
async def test_a_body_that_is_no_http_is_a_protocol_error_after_what_was_good(
    server: RawServer, reads: int
) -> None:
    head, body = CHUNKED.partition(b"7;")[0].split(b"\r\n\r\n")
    garbled = body + b"not a size\r\n"
    server.answer = [head + b"\r\n\r\n" + garbled] if reads == 1 else [head + b"\r\n\r\n"]
    heard: list[bytes] = []
    async with asyncio.timeout(30):
        response = await answer(server)
        pushing = asyncio.ensure_future(response.push(heard.append))
        await asyncio.sleep(0)
        if reads == 2:
            server.peers[0].say([garbled])
        with pytest.raises(httpx.RemoteProtocolError):
            await pushing
        await server.peers[0].gone.wait()
    assert heard == [b"hello"]


async def test_a_refused_connection_is_a_connect_error() -> None:
    async with asyncio.timeout(30):
        async with raw_server() as server:
            pass
        with pytest.raises(httpx.ConnectError):
            await answer(server, connect_s=4)


@pytest.fixture
def full_backlog() -> Iterator[str]:
    """Where connections are neither taken nor refused."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield "http://127.0.0.1:{1}".format(*listener.getsockname())


async def test_a_connection_that_never_stands_is_a_connect_timeout(full_backlog: str) -> None:
    async with asyncio.timeout(30):
        with pytest.raises(httpx.ConnectTimeout):
            await ModelServerClient(full_backlog, connect_s=0.02).get(b"/")


async def test_silence_before_the_head_is_a_read_timeout(server: RawServer) -> None:
    async with asyncio.timeout(30):
        with pytest.raises(httpx.ReadTimeout):
            await answer(server, idle_s=0.02)
        await server.peers[0].gone.wait()


async def test_silence_in_the_middle_is_a_read_timeout(server: RawServer) -> None:
    server.answer = [SIZED[:-5]]
    async with asyncio.timeout(30):
        response = await answer(server, idle_s=0.5)
        with pytest.raises(httpx.ReadTimeout):
            await items(response)
        await server.peers[0].gone.wait()


async def test_a_request_that_is_not_taken_is_a_write_timeout(server: RawServer) -> None:
    async with asyncio.timeout(30):
        task = asyncio.ensure_future(answer(server, bytes(32_000_000), idle_s=0.05))
        (await server.peer()).transport.pause_reading()
        with pytest.raises(httpx.WriteTimeout):
            await task


async def test_a_server_may_answer_before_it_has_read_everything(server: RawServer) -> None:
    async with asyncio.timeout(30):
        task = asyncio.ensure_future(answer(server, bytes(32_000_000)))
        peer = await server.peer()
        peer.transport.pause_reading()
        peer.say([b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n"])
        response = await task
        assert response.status == 413
        peer.say([b"no"])
        assert await items(response) == [b"no"]


async def test_hanging_up_on_half_a_request_is_a_write_error(server: RawServer) -> None:
    async with asyncio.timeout(30):
        task = asyncio.ensure_future(answer(server, bytes(32_000_000)))
        (await server.peer()).say([], "reset")
        with pytest.raises(httpx.WriteError):
            await task


async def test_an_answer_that_nobody_reads_stays_with_the_server(server: RawServer) -> None:
    size = 32_000_000
    server.answer = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)]
    async with asyncio.timeout(30):
        response = await answer(server)
        server.answer = [EMPTY]
        for _ in range(100):  # turns of the loop, in which an unbounded client would take everything
            await answer(server)
        assert server.peers[0].transport.get_write_buffer_size() > size / 2
        assert sum(map(len, await items(response))) == size


async def test_closing_the_answer_cuts_the_connection(server: RawServer) -> None:
    server.answer = [SIZED[:-5]]
    async with asyncio.timeout(30):
        response = await answer(server)
        response.close()
        await server.peers[0].gone.wait()
        response.close()


async def test_giving_up_before_the_head_cuts_the_connection(server: RawServer) -> None:
    async with asyncio.timeout(30):
        task = asyncio.ensure_future(answer(server))
        peer = await server.peer()
        await peer.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await peer.gone.wait()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody has signed."""
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
         "-keyout", pem, "-out", pem.with_suffix(".crt")],
        check=True, capture_output=True,
    )  # fmt: skip
    pem.write_bytes(pem.read_bytes() + pem.with_suffix(".crt").read_bytes())
    return pem


async def test_https_is_spoken_with_servers_that_are_trusted_only(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    async with asyncio.timeout(30), raw_server(context) as server:
        server.answer = cut(CHUNKED, 60)
        response = await ModelServerClient(server.url, connect=Connector(trusting)).get(b"/")
        assert b"".join(await items(response)) == b"hello, world"
        with pytest.raises(httpx.ConnectError, match="its certificate is not accepted: self-signed"):
            await answer(server)


async def test_a_server_without_tls_is_named_as_that() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with asyncio.timeout(30), serving(refuse) as port:
        with pytest.raises(httpx.ConnectError, match="it does not speak TLS as expected: "):
            await ModelServerClient(f"https://127.0.0.1:{port}").get(b"/")


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "line"),
    [
        pytest.param(b"HTTP/1.1 200 ", b"a", id="one status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: ", b"b", id="one header line"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", id="header lines"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="interim answers"),
        pytest.param(HEAD + b"2\r\nhi\r\n0\r\n", b"a: b\r\n", id="trailer lines"),
        pytest.param(HEAD + b"0\r\nA: ", b"b", id="one trailer line"),
        pytest.param(HEAD + b"2;a=", b"b", id="one chunk extension"),
    ],
)
async def test_an_answer_without_an_end_is_given_up_at_64_kib(
    server: RawServer, begin: bytes, line: bytes
) -> None:
    piece = line * (4096 // len(line))
    server.answer = [begin, *[piece] * 64] if begin else [piece] * 64
    async with asyncio.timeout(30):
        with pytest.raises(httpx.RemoteProtocolError, match="65536 bytes"):
            await items(await answer(server))
        await (await server.peer()).gone.wait()


async def test_long_streams_in_small_chunks_are_not_taken_for_an_endless_head(server: RawServer) -> None:
    server.answer = [HEAD, *[b"1;" + b"e" * 1000 + b"\r\n", b"x\r\n"] * 200, b"0\r\n\r\n"]
    async with asyncio.timeout(30):
        assert b"".join(await items(await answer(server))) == b"x" * 200


@pytest.mark.parametrize("free", [0, 8], ids=["none free", "only the last ones free"])
async def test_too_many_open_files_are_no_fault_of_the_server(server: RawServer, free: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    # The lowest number that is free is the next one's. Loops keep a few files open of their own.
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe + free, hard))
    try:
        with pytest.raises(httpx.PoolTimeout):
            await answer(server)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_free_descriptor_is_told_as_overloaded() -> None:
    with pytest.raises(Overloaded, match="too many files open"), before_answer:
        raise httpx.PoolTimeout("")
