"""A real gateway on a real socket around a scripted transport, for tests that speak HTTP to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import BaseModel

from gateway.assembly import Assembled, assemble
from gateway.contract.transport import Transport
from gateway.process.draining_server import GatewayServer
from gateway.process.serve import listen, server_of, url_of
from gateway.settings import Settings
from tests.plain_http import plain_http
from tests.store.migrated import migrated
from transports.scripted import Script, ScriptedTransport

STREAM = "/messages/stream"


@dataclass
class Served:
    """url: where the gateway listens. http: a client of it."""

    url: str
    http: httpx.AsyncClient
    transport: ScriptedTransport
    assembled: Assembled

    async def events(self, body: dict[str, Any], path: str = STREAM) -> list[dict[str, Any]]:
        """Ask, and give every event of the unified dialect."""
        async with self.http.stream("POST", path, json=body) as response:
            assert response.status_code == 200, await response.aread()
            return [event async for event in unified_events(response)]

    async def messages(self, session_id: int = 1) -> list[dict[str, Any]]:
        response = await self.http.get(f"/api/chatbot/sessions/{session_id}/messages")
        assert response.status_code == 200
        told: list[dict[str, Any]] = response.json()
        return told


async def unified_events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The `data:` frames of a unified stream, as they come."""
    buffer = b""
    async for chunk in response.aiter_raw():
        *frames, buffer = (buffer + chunk).split(b"\n\n")
        for frame in frames:
            for line in frame.split(b"\n"):
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


class GivenSettings(Settings):
    """Settings of a test alone. pydantic-settings would look for each of them elsewhere too: 3 ms, in
    thousands of tests."""

    def __init__(self, **settings: Any) -> None:
        BaseModel.__init__(self, **settings)


@asynccontextmanager
async def served(
    tmp_path: Path,
    script: Script,
    within_s: float = 60,
    kind: type[ScriptedTransport] = ScriptedTransport,
    mqtt: Transport | None = None,
    sse: Transport | None = None,
    server: Callable[..., uvicorn.Server] = server_of,
    **settings: Any,
) -> AsyncIterator[Served]:
    """A gateway in mode sse whose transport, of this kind, follows `script`; mqtt: another one it has.

    sse: the transport to ask instead of one with a script. server: makes the server, as `server_of` does.
    """
    settings.setdefault("database_url", migrated(tmp_path / "gateway.db"))
    settings.setdefault("llm_comm_mode", "sse")
    chosen = GivenSettings(host="127.0.0.1", port=0, **settings)
    transport = kind(script, name="sse")
    transports: dict[str, Transport] = {"sse": sse or transport} | ({} if mqtt is None else {"mqtt": mqtt})
    listener = listen(chosen)
    chosen = chosen.model_copy(update={"internal_url": url_of(listener)})
    assembled = assemble(chosen, transports)
    listening = asyncio.Event()

    async def note_listening(_: Assembled) -> None:
        listening.set()

    running = server(assembled, note_listening)

    async def serve() -> None:
        try:
            await running.serve([listener])
        except SystemExit as end:  # else it ends the whole test run
            listener.close()
            raise AssertionError(f"the gateway did not start: it exits with {end.code}") from end
        assert listening.is_set(), "the gateway did not start: the log has the reason"

    async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
        serving = group.create_task(serve())
        await listening.wait()
        try:
            # Else a refusal on a stream's endpoint is a frame of its dialect.
            headers = {"accept": "application/json"}
            async with plain_http(url_of(listener), headers=headers) as client:
                yield Served(url_of(listener), client, transport, assembled)
        finally:
            if isinstance(running, GatewayServer):
                running.stop()
            running.should_exit = True
            await serving
