"""A real llama.cpp server and a model that a grammar makes say any text: alone, and as one of several."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.contract.errors import GatewayError, Interrupted, Unreachable
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
from tests.live.looking import look_again
from transports.llama.servers import LlamaServers
from transports.llama.transport import LlamaTransport


class LlamaRig:
    name = "llama"
    gone: type[GatewayError] = Interrupted

    _server: LlamaServer

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Transport]:
        skip_without_llama()
        slots = ("--parallel", "2", "--ctx-per-slot", str(LONG_CONTEXT))
        async with running_llama(random_model(), *slots) as self._server:
            transport = self._transport(self._server.url)
            async with transport.running():
                yield transport

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Transport]:
        transport = self._transport(self._server.url)
        async with transport.running():
            yield transport

    def _transport(self, url: str) -> Transport:
        return LlamaTransport(url)

    def request(self, text: str) -> ChatRequest:
        return exactly(text)

    def endless(self) -> ChatRequest:
        return endlessly()

    async def lose_peer(self) -> None:
        await self._server.kill()

    async def restore_peer(self) -> None:
        await self._server.start()

    async def idle(self) -> None:
        async with asyncio.timeout(120):
            while await self._server.busy_slots():
                await look_again()

    async def forgotten(self, conversation_id: str) -> None:
        while conversation_id in await self._server.streams(conversation_id):
            await look_again()

    async def break_off(self) -> None:
        while not await self._server.busy_slots():
            await look_again()
        await self._server.kill()


class LlamaServersRig(LlamaRig):
    """The second server is never there."""

    name = "llama-servers"
    gone: type[GatewayError] = Unreachable  # the second server may have it

    def _transport(self, url: str) -> Transport:
        urls = (url, "http://127.0.0.1:1")
        self._servers = LlamaServers([(url, LlamaTransport(url)) for url in urls], check_s=0.05)
        return self._servers

    async def restore_peer(self) -> None:
        await super().restore_peer()
        while not (await self._servers.health()).ok:
            await look_again()
