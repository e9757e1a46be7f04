"""Connections to a model server are used again if the server keeps them, and only then."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from transports.llama import http_exchange
from transports.llama.client import ModelServerClient
from transports.llama.kept_connections import KeptConnections

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"
WHOLE = HEAD + HELLO + END

Serve = Callable[["KeepingServer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(autouse=True)
async def patience() -> AsyncIterator[None]:
    async with asyncio.timeout(30):
        yield


class KeepingServer:
    """Answers any number of requests on a connection by `serve`. heads: of the requests, as they came."""

    def __init__(self, serve: Serve) -> None:
        self.serve = serve
        self.heads: list[bytes] = []
        self.connections = 0
        self.gone = asyncio.Event()
        self.url = ""
        self.listener: asyncio.Server

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(2)
                await self.serve(self, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.gone.set()
            writer.close()


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[KeepingServer]:
    server = KeepingServer(serve)
    server.listener = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    host, port = server.listener.sockets[0].getsockname()
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        server.listener.close()


async def whole(server: KeepingServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(WHOLE)


async def answer(client: ModelServerClient) -> bytes:
    heard: list[bytes] = []
    exchange = await client.post(b"/", b"{}")
    await exchange.push(heard.append)
    return b"".join(heard)


async def proven(server: KeepingServer) -> tuple[ModelServerClient, KeptConnections]:
    """Return a client of the server after its first request, on a connection that is kept."""
    kept = KeptConnections(proof_s=0, keep_s=60)
    client = ModelServerClient(server.url, kept=kept)
    assert await answer(client) == b"hello"
    while not kept.proven:  # noqa: ASYNC110 - a timer of 0 s tells it
        await asyncio.sleep(0)
    return client, kept


async def test_the_next_request_goes_on_the_same_connection() -> None:
    async with serving(whole) as server:
        client, kept = await proven(server)
        assert [await answer(client) for _ in range(3)] == [b"hello"] * 3
        assert (server.connections, len(server.heads)) == (1, 4)
        client.close()
        await server.gone.wait()
        assert not kept.closing


async def test_nothing_is_sent_on_it_until_the_server_has_kept_it() -> None:
    async with serving(whole) as server:
        client = ModelServerClient(server.url, kept=KeptConnections(proof_s=60))
        assert [await answer(client), await answer(client)] == [b"hello"] * 2
        assert server.connections == 2
        client.close()


async def test_a_server_that_closes_is_asked_to_from_then_on() -> None:
    async def closes(_: KeepingServer, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE)
        writer.close()

    async with serving(closes) as server:
        kept = KeptConnections(proof_s=60)
        client = ModelServerClient(server.url, kept=kept)
        await answer(client)
        while not kept.closing:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)
        assert await answer(client) == b"hello"
        assert [b"Connection: close" in head for head in server.heads] == [False, True]


async def test_a_request_that_met_the_servers_close_is_sent_again_on_a_new_connection() -> None:
    async def once_each(server: KeepingServer, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(server.heads) == 2:
            writer.close()
        else:
            writer.write(WHOLE)

    async with serving(once_each) as server:
        client, kept = await proven(server)
        assert await answer(client) == b"hello"
        assert (server.connections, len(server.heads)) == (2, 3)
        assert not kept.closing
        client.close()


async def test_a_server_that_cannot_be_reached_afterwards_has_broken_off() -> None:
    async def crashes(server: KeepingServer, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(server.heads) == 2:
            server.listener.close()
            writer.close()
        else:
            writer.write(WHOLE)

    async with serving(crashes) as server:
        client, _ = await proven(server)
        with pytest.raises(httpx.ReadError):
            await answer(client)
        assert len(server.heads) == 2


async def test_a_response_that_has_begun_is_not_asked_for_again() -> None:
    async def breaks(server: KeepingServer, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(server.heads) == 2:
            writer.write(HEAD[:20])
            writer.close()
        else:
            writer.write(WHOLE)

    async with serving(breaks) as server:
        client, _ = await proven(server)
        with pytest.raises(httpx.ReadError):
            await answer(client)
        assert len(server.heads) == 2


@pytest.mark.parametrize(
    "said",
    [
        WHOLE + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        WHOLE + b"x",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ],
    ids=["another response", "garbage", "it says so", "HTTP/1.0"],
)
async def test_a_connection_that_cannot_be_used_again_is_closed(said: bytes) -> None:
    async def says(_: KeepingServer, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    async with serving(says) as server:
        kept = KeptConnections(proof_s=60)
        assert await answer(ModelServerClient(server.url, kept=kept)) == b"hello"
        await server.gone.wait()
        assert not kept.closing


async def test_a_stopped_reply_closes_its_connection() -> None:
    async def begins(_: KeepingServer, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + HELLO)

    async with serving(begins) as server:
        exchange = await ModelServerClient(server.url, kept=KeptConnections(proof_s=60)).post(b"/", b"{}")
        exchange.close()
        await server.gone.wait()


async def test_the_connection_is_kept_if_the_end_comes_after_its_reader_has_finished() -> None:
    finished = asyncio.Event()

    async def later(server: KeepingServer, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + HELLO)
        await finished.wait()
        writer.write(HELLO + END)

    async with serving(later) as server:
        kept = KeptConnections(proof_s=0, keep_s=60)
        client = ModelServerClient(server.url, kept=kept)
        exchange = await client.post(b"/", b"{}")

        def receive(_: bytes) -> None:
            exchange.finish()

        await exchange.push(receive)
        exchange.close()  # the reader of a reply closes it at its end
        finished.set()
        while not kept.proven:  # noqa: ASYNC110 - a timer of 0 s tells it
            await asyncio.sleep(0)
        assert await answer(client) == b"hellohello"
        assert server.connections == 1
        client.close()


async def test_a_closed_client_does_not_wait_for_the_end_of_a_response_that_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_exchange, "FINISH_S", 600)

    async def begins(_: KeepingServer, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + HELLO)

    async with serving(begins) as server:
        client = ModelServerClient(server.url, kept=KeptConnections(proof_s=60))
        exchange = await client.post(b"/", b"{}")
        await exchange.push(lambda _: exchange.finish())
        client.close()
        await server.gone.wait()


async def test_a_connection_on_which_the_server_speaks_unasked_is_closed() -> None:
    async def speaks(_: KeepingServer, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE)
        asyncio.get_running_loop().call_later(0.01, writer.write, b"HTTP/1.1 408 Timeout\r\n\r\n")

    async with serving(speaks) as server:
        client = ModelServerClient(server.url, kept=KeptConnections(proof_s=60))
        await answer(client)
        await server.gone.wait()


async def test_a_connection_is_closed_when_it_has_waited_for_its_time() -> None:
    async with serving(whole) as server:
        kept = KeptConnections(proof_s=0, keep_s=0)
        await answer(ModelServerClient(server.url, kept=kept))
        await server.gone.wait()
        assert not kept.closing
