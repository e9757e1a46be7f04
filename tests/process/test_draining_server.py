"""The server's own loop."""

import asyncio
import socket
from pathlib import Path

import pytest
import uvicorn

from gateway.process import draining_server as server_module
from gateway.process.draining_server import GatewayServer
from gateway.web.http.asgi import Receive, Scope, Send
from tests.web.gateway_server import served
from transports.scripted import tokens


async def test_it_stops_without_waiting_for_the_next_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "TICK_S", 3600)
    async with asyncio.timeout(30), served(tmp_path, lambda _: tokens("x")) as gateway:
        assert (await gateway.http.get("/health")).status_code == 200


async def test_the_date_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "TICK_S", 0.01)
    async with asyncio.timeout(30), served(tmp_path, lambda _: tokens("x")) as gateway:
        first = (await gateway.http.get("/health")).headers["date"]
        while (await gateway.http.get("/health")).headers["date"] == first:
            pass


async def test_a_stop_while_it_starts_is_no_error() -> None:
    told = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        server.stop()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def drain(hurry: asyncio.Event) -> None:
        pass

    async def when_listening() -> None:
        told.append(listener.getsockname())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, lifespan="on", ws="none", log_config=None)
        server = GatewayServer(config, drain, when_listening)
        async with asyncio.timeout(30):
            await server.serve([listener])
    assert told == []
