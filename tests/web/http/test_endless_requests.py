"""A request without an end costs neither memory nor the other clients' time, wherever it has none."""

import asyncio

import pytest

from gateway.web.http.asgi import App, Message, Receive, Scope, Send
from gateway.web.http.connection_limits import MAX_PIPELINED
from gateway.web.http.head_limit import MAX_HEAD_BYTES, MAX_HEADERS
from gateway.web.http.parsing_turns import MAX_PARTS
from gateway.web.http.parsing_turns import PIECE_BYTES as PARSED_BYTES
from tests.web.client_socket import PIECE_BYTES, connected

CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
TINY = b"1\r\n \r\n"
MANY = 20_000
"""More chunks than are parsed in one turn."""
ENDLESS = [
    pytest.param(b"GET /", b"a", id="one request line"),
    pytest.param(b"GET /?", b"a=b&", id="one query"),
    pytest.param(b"GET / HTTP/1.1\r\nA: ", b"b", id="one header line"),
    pytest.param(b"GET / HTTP/1.1\r\n", b"b", id="one header name"),
    pytest.param(b"GET / HTTP/1.1\r\n", b"a: b\r\n", id="header lines"),
    pytest.param(b"", b"\r\n", id="empty lines"),
    pytest.param(CHUNKED + b"0\r\n", b"a: b\r\n", id="trailer lines"),
    pytest.param(CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n", id="trailer lines behind a body"),
    pytest.param(CHUNKED + b"0\r\nA: ", b"b", id="one trailer line"),
    pytest.param(CHUNKED + b"0\r\n", b"b", id="one trailer name"),
    pytest.param(CHUNKED + b"2;a=", b"b", id="one chunk extension"),
    pytest.param(CHUNKED + b"2", b";a=b", id="chunk extensions"),
    pytest.param(CHUNKED + b"0;a=", b"b", id="the last chunk's extension"),
]


async def reads_the_body(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass


async def answers_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def answers_and_closes(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class Stream:
    """Answers with one chunk and then, when it is told to, with the end."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.end = asyncio.Event()
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        start: Message = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        self.begun.set()
        await self.end.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.mark.parametrize(("begin", "line"), ENDLESS)
async def test_what_has_no_end_is_refused_at_64_kib(begin: bytes, line: bytes) -> None:
    with connected(reads_the_body) as client:
        client.send(begin)
        assert client.send_for_ever(line) <= MAX_HEAD_BYTES + PIECE_BYTES
        assert client.socket.closed
        assert client.socket.written.startswith(b"HTTP/1.1 431 ")
        assert b"\r\nx-content-type-options: nosniff\r\n" in client.socket.written


async def test_others_get_their_turn_between_the_chunks_of_one_body() -> None:
    """Each chunk costs a call: all in one turn would hold up the others for seconds."""
    taken: list[int] = []

    async def counts(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive()).get("more_body"):
            taken.append(len(message["body"]))
        taken.append(len(message["body"]))
        await answers_at_once(scope, receive, send)

    with connected(counts) as client:
        client.send(CHUNKED + TINY * MANY + b"0\r\n\r\n" + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n")
        assert not client.socket.reading
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        await client.until_answered()
        assert sum(taken) == MANY + len("{}")
        assert max(taken) <= 2 * (MAX_PARTS + PARSED_BYTES // len(TINY))
        assert client.socket.written.count(b"HTTP/1.1 200") == 3
        assert client.socket.reading


@pytest.mark.parametrize("app", [answers_at_once, answers_and_closes])
async def test_tiny_chunks_behind_an_answer_are_not_parsed(app: App) -> None:
    with connected(app) as client:
        client.send(CHUNKED + TINY * MANY + b"rubbish")
        await client.until_answered()
        async with asyncio.timeout(30):
            while not client.socket.reading:  # noqa: ASYNC110  # the parser's turns have no event
                await asyncio.sleep(0)
        assert client.socket.closed
        assert client.socket.written.count(b"HTTP/1.1") == 1


async def test_a_client_may_leave_while_its_chunks_wait() -> None:
    with connected(reads_the_body) as client:
        client.send(CHUNKED + TINY * MANY)
    await asyncio.sleep(0)
    assert not client.socket.reading


async def test_a_head_of_many_short_headers_is_refused() -> None:
    """Each takes far more memory than bytes on the wire."""
    with connected(reads_the_body) as client:
        client.send(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * MAX_HEADERS)
        assert not client.socket.closed
        client.send(b"a: b\r\n" * 2)
        assert client.socket.written.startswith(b"HTTP/1.1 431 ")


async def test_head_and_trailers_are_counted_together() -> None:
    with connected(reads_the_body) as client:
        big = b"A: " + b"b" * 40_000 + b"\r\n"
        client.send(CHUNKED[:-2] + big + b"\r\n2\r\n{}\r\n0\r\n")
        assert not client.socket.closed
        client.send(big)
        client.send(b"c: d\r\n")
        assert client.socket.closed


async def test_trailers_are_no_headers() -> None:
    stream = Stream()
    with connected(stream) as client:
        client.send(CHUNKED + b"0\r\nAuthorization: Bearer sk-late\r\n\r\n")
        await stream.begun.wait()
        assert stream.scope["headers"] == [(b"transfer-encoding", b"chunked")]


async def test_long_trailers_behind_an_answer_get_no_second_answer() -> None:
    with connected(answers_at_once) as client:
        client.send(CHUNKED + b"0\r\n")
        await client.until_answered()
        answer = client.socket.written
        assert client.send_for_ever(b"a: b\r\n") <= MAX_HEAD_BYTES + PIECE_BYTES
        assert client.socket.closed
        assert client.socket.written == answer


@pytest.mark.parametrize(
    ("begin", "line"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"rubbish", id="rubbish"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n" * 2 + b"rubbish", b"x", id="rubbish behind a second request"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nA: ", b"b", id="a head without an end"),
        pytest.param(CHUNKED + b"0\r\n", b"a: b\r\n", id="trailers without an end"),
        pytest.param(CHUNKED, b"rubbish", id="a body that is none"),
    ],
)
async def test_a_stream_outlives_its_clients_rubbish_and_ends_the_connection(
    begin: bytes, line: bytes
) -> None:
    stream = Stream()
    with connected(stream) as client:
        client.send(begin)
        await stream.begun.wait()
        assert client.send_for_ever(line) <= MAX_HEAD_BYTES + PIECE_BYTES
        assert not client.socket.closed
        stream.end.set()
        await client.until_answered()
        assert client.socket.closed
        assert client.socket.written.endswith(b"3\r\none\r\n0\r\n\r\n")
        assert client.socket.written.count(b"HTTP/1.1") == 1


async def test_only_some_requests_may_wait_for_their_answers() -> None:
    stream = Stream()
    with connected(stream) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        await stream.begun.wait()
        client.send(b"GET / HTTP/1.1\r\n\r\n" * 10_000)
        client.send(b"GET / HTTP/1.1\r\n\r\n" * 10_000)
        assert len(client.connection.pipeline) == MAX_PIPELINED
        stream.end.set()
        await client.until_answered()
        assert client.socket.written.count(b"HTTP/1.1 200") == 1 + MAX_PIPELINED
        assert client.socket.closed


async def test_few_requests_at_once_are_all_answered_and_more_may_follow() -> None:
    with connected(answers_at_once) as client:
        for _ in range(3):
            client.send(b"GET / HTTP/1.1\r\n\r\n" * 5)
            await client.until_answered()
        assert client.socket.written.count(b"HTTP/1.1 200") == 15
        assert not client.socket.closed


async def test_nothing_is_parsed_behind_an_answer_that_closes() -> None:
    with connected(answers_and_closes) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        await client.until_answered()
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert not client.state.tasks
