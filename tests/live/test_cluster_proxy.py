"""nginx with deploy/nginx/cluster.conf, in front of three servers of which one breaks a request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.live.cluster import nginx_for
from tests.live.proxies import requires_proxy
from tests.plain_http import plain_http

pytestmark = [pytest.mark.live, requires_proxy("nginx")]


class Breaking:
    """A server that answers each request with its name. breaks: requests that it breaks off first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.breaks = 0
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self.breaks:
            self.breaks -= 1
            writer.transport.abort()
        else:
            writer.write(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n" + self.name.encode()
            )
            writer.close()


@pytest.fixture
async def servers() -> AsyncIterator[list[Breaking]]:
    async with AsyncExitStack() as stack:
        started = [Breaking(name) for name in "abc"]
        for each in started:
            server = await asyncio.start_server(each.serve, "127.0.0.1", 0)
            await stack.enter_async_context(server)
            each.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield started


async def test_one_broken_request_takes_no_gateway_out(tmp_path: Path, servers: list[Breaking]) -> None:
    nginx, url = nginx_for(tmp_path, [server.address for server in servers])
    try:
        async with asyncio.timeout(120):
            await nginx.start()
            async with plain_http(url) as client:
                servers[0].breaks = 1
                answers = [await client.get("/ready") for _ in range(12)]
    finally:
        await nginx.kill()
    assert {answer.status_code for answer in answers} == {200}
    assert servers[0].breaks == 0
    assert {answer.text for answer in answers[-6:]} == {"a", "b", "c"}
