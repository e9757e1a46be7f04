"""An answer's body pushed to its receiver: whole, in order, and no faster than the receiver takes it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import httpx
import pytest

from tests.transports.llama import captures
from tests.transports.llama.raw_server import RawServer, raw_server
from tests.transports.llama.test_client import CHUNKED, SIZED, UNTIL_CLOSE, answer, cut
from transports.llama.http_exchange import MAX_HEAD_BYTES, MAX_UNREAD_BYTES

OPEN_HEAD = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with asyncio.timeout(30), raw_server() as server:
        yield server


@pytest.mark.parametrize("name", captures.STREAMS)
async def test_a_real_answer_that_trickles_in_is_pushed_whole(server: RawServer, name: str) -> None:
    raw = captures.chunked(name)
    server.answer = cut(raw, *range(1, len(raw)))
    heard: list[bytes] = []
    await (await answer(server)).push(heard.append)
    assert b"".join(heard) == captures.body(name)


@pytest.mark.parametrize("raw", [CHUNKED, SIZED, UNTIL_CLOSE], ids=["chunked", "sized", "until close"])
async def test_what_came_with_the_head_or_with_the_end_is_pushed_too(server: RawServer, raw: bytes) -> None:
    server.answer, server.ending = [raw], "close" if raw is UNTIL_CLOSE else "stay"
    heard: list[bytes] = []
    await (await answer(server)).push(heard.append)
    assert b"".join(heard) == b"hello, world"


@pytest.mark.parametrize("size", [MAX_UNREAD_BYTES - 1, MAX_UNREAD_BYTES * 3])
async def test_more_is_read_however_much_came_with_the_head(server: RawServer, size: int) -> None:
    """Unread bytes pause the socket: who starts to push must start it again, or never hears of the end."""
    server.answer, server.ending = [OPEN_HEAD + b"a" * size], "stay"
    exchange = await answer(server)
    heard: list[bytes] = []
    while exchange._held_bytes < min(size, MAX_UNREAD_BYTES + 1):  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0)
    server.peers[0].say([b"b"], "close")
    await exchange.push(heard.append)
    assert b"".join(heard) == b"a" * size + b"b"


async def test_a_busy_receiver_gets_no_more_until_it_is_done(server: RawServer) -> None:
    server.answer = [OPEN_HEAD + b"1"]
    exchange = await answer(server)
    heard: list[bytes] = []
    busy: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def receive(received: bytes) -> Awaitable[None] | None:
        heard.append(received)
        return busy if len(heard) == 1 else None

    pushing = asyncio.ensure_future(exchange.push(receive))
    server.peers[0].say([b"2", b"3"], "close")
    await server.peers[0].gone.wait()
    assert len(heard) == 1
    busy.set_result(None)
    await pushing
    assert b"".join(heard) == b"123"


async def test_what_the_receiver_raises_comes_out_and_closes_the_connection(server: RawServer) -> None:
    server.answer = [OPEN_HEAD, b"1"]
    exchange = await answer(server)

    def receive(received: bytes) -> None:
        raise LookupError(received)

    with pytest.raises(LookupError, match="1"):
        await exchange.push(receive)
    await server.peers[0].gone.wait()


async def test_a_broken_connection_is_raised_after_what_was_pushed(server: RawServer) -> None:
    server.answer, server.ending = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"12"], "reset"
    heard: list[bytes] = []
    with pytest.raises(httpx.ReadError):
        await (await answer(server)).push(heard.append)
    assert b"".join(heard) == b"12"


async def test_the_frame_of_many_small_chunks_does_not_count_as_one_long_head(server: RawServer) -> None:
    chunks = MAX_HEAD_BYTES // 4
    server.answer = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
    exchange = await answer(server)
    count = 0

    def receive(received: bytes) -> None:
        nonlocal count
        count += len(received)

    exchange._receive = receive
    for _ in range(chunks):
        exchange.data_received(b"1\r\n")
        exchange.data_received(b"x\r\n")
    exchange.data_received(b"0\r\n\r\n")
    await exchange.push(receive)
    assert count == chunks


async def test_closing_ends_the_push_and_nothing_more_is_pushed(server: RawServer) -> None:
    server.answer = [OPEN_HEAD, b"1", b"2"]
    exchange = await answer(server)
    heard: list[bytes] = []

    def receive(received: bytes) -> None:
        heard.append(received)
        exchange.close()

    await exchange.push(receive)
    await server.peers[0].gone.wait()
    assert len(heard) == 1
