"""LlamaTransport with a real llama.cpp server and a model that a grammar makes say any text."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Transport
from tests.live.llama_server import (
    LONG_CONTEXT,
    LlamaServer,
    endlessly,
    exactly,
    random_model,
    running_llama,
    skip_without_llama,
)
from transports.llama.transport import LlamaTransport


class LlamaRig:
    name = "llama"

    _server: LlamaServer

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Transport]:
        skip_without_llama()
        slots = ("--parallel", "2", "--ctx-per-slot", str(LONG_CONTEXT))
        async with running_llama(random_model(), *slots) as self._server:
            transport = LlamaTransport(self._server.url)
            async with transport.running():
                yield transport

    def request(self, text: str) -> ChatRequest:
        return exactly(text)

    def endless(self) -> ChatRequest:
        return endlessly()

    async def lose_peer(self) -> None:
        await self._server.kill()

    async def restore_peer(self) -> None:
        await self._server.start()

    async def idle(self) -> None:
        async with asyncio.timeout(2):
            while await self._server.busy_slots():
                pass
