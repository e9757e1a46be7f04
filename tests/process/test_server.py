"""The server's own loop."""

import asyncio
from pathlib import Path

import pytest

from gateway.process import server as server_module
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
