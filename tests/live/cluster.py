"""Three gateways on one PostgreSQL behind nginx with deploy/nginx/cluster.conf."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.chaos.processes import ForkedGateway, Restartable
from tests.live.brokers import free_port
from tests.live.programs import ROOT
from tests.store.postgres import SHARED, PostgresServer

SIZE = 3


class Cluster:
    """The gateways by name, and nginx's URL."""

    def __init__(self, url: str, gateways: dict[str, ForkedGateway], postgres: PostgresServer) -> None:
        self.url = url
        self.gateways = gateways
        self._postgres = postgres

    def owned_by(self, name: str) -> list[str]:
        """Return the stream ids of the running replies that a gateway makes."""
        named = "SELECT stream_id FROM messages WHERE status = 'streaming' AND split_part(owner, '/', 1)"
        return self._postgres.sql(f"{named} = '{name}'", SHARED).split()

    def rows(self) -> dict[str, tuple[str, str]]:
        """Return status and text of all replies, by stream id."""
        found = self._postgres.sql(
            "SELECT stream_id, status, content FROM messages WHERE role = 'assistant'", SHARED
        )
        return {id: (status, text) for id, status, text in (row.split("|", 2) for row in found.splitlines())}


@asynccontextmanager
async def cluster(folder: Path, postgres: PostgresServer, model_url: str) -> AsyncIterator[Cluster]:
    """Start all of it, and kill it with the block."""
    url = postgres.emptied()
    async with AsyncExitStack() as stack:
        gateways: dict[str, ForkedGateway] = {}
        addresses = []
        for number in range(1, SIZE + 1):
            name, port = f"gateway-{number}", free_port()
            addresses.append(f"127.0.0.1:{port}")
            gateways[name] = ForkedGateway(
                folder / f"{name}.log",
                DATABASE_URL=url,
                GATEWAY_NAME=name,
                INTERNAL_URL=f"http://127.0.0.1:{port}",
                LLM_SERVER_URL=model_url,
                PORT=str(port),
                TRUSTED_PROXIES="127.0.0.1",
            )
            stack.push_async_callback(gateways[name].kill)
        await asyncio.gather(*(gateway.start() for gateway in gateways.values()))
        nginx, nginx_url = nginx_for(folder, addresses)
        stack.push_async_callback(nginx.kill)
        await nginx.start()
        yield Cluster(nginx_url, gateways, postgres)


def nginx_for(folder: Path, gateways: list[str]) -> tuple[Restartable, str]:
    """Return nginx in front of these addresses, and its URL."""
    program = shutil.which("nginx")
    assert program, "REQUIRE_LIVE=1, and there is no nginx"
    port = free_port()
    shipped = ROOT / "deploy/nginx"
    text = (shipped / "cluster.conf").read_text()
    for number, address in enumerate(gateways, 1):
        text = _replaced(text, rf"server gateway-{number}:8000", f"server {address}")
    text = _replaced(text, r"listen 8080;", f"listen 127.0.0.1:{port};")
    text = _replaced(text, r"/tmp/", f"{folder}/nginx-")  # first: `shipped` may be below /tmp
    text = _replaced(text, r"/etc/nginx/snippets", str(shipped))
    text = _replaced(text, r"error_log stderr warn;", "error_log stderr notice;")
    (folder / "nginx.conf").write_text(text)
    command = [program, "-c", str(folder / "nginx.conf"), "-g", "daemon off; master_process off;"]
    return Restartable(folder / "nginx.log", command, "event method"), f"http://127.0.0.1:{port}"


def _replaced(text: str, pattern: str, value: str) -> str:
    text, count = re.subn(pattern, value, text)
    assert count, f"the configuration has no {pattern}"
    return text
