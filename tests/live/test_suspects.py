"""A request that crashes real llama.cpp servers: two of them die of it, however many there are behind us."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.contract.errors import UpstreamFailed
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Transport
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.llama_server import LlamaServer, asking, requires_llama, running_llama
from transports.llama.embedded import tiny_model_path
from transports.llama.servers import LlamaServers
from transports.llama.transport import LlamaTransport
from transports.mqtt.aiomqtt_link import AiomqttLink
from transports.mqtt.transport import MqttTransport
from transports.mqtt.worker import Worker

pytestmark = [pytest.mark.live, requires_llama()]


def deadly() -> ChatRequest:
    """llama.cpp's parser of grammars recurses for each parenthesis, until its stack is used up."""
    return asking("hi", options={"grammar": "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000})


@asynccontextmanager
async def running_servers(count: int) -> AsyncIterator[list[LlamaServer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running_llama(tiny_model_path())) for _ in range(count)]


def pool_of(servers: Sequence[LlamaServer]) -> LlamaServers:
    return LlamaServers([(server.url, LlamaTransport(server.url)) for server in servers])


async def ask(transport: Transport, request: ChatRequest) -> None:
    async with transport.open(request) as stream:
        async for _ in stream:
            pass


async def alive(servers: Sequence[LlamaServer]) -> int:
    return sum([await server.is_alive() for server in servers])


async def test_two_of_three_servers_of_a_pool_die_and_the_third_goes_on() -> None:
    async with asyncio.timeout(60), running_servers(3) as servers:
        pool = pool_of(servers)
        async with pool.running():
            with pytest.raises(UpstreamFailed, match="2 model servers broke off") as failed:
                await ask(pool, deadly())
            assert not failed.value.retryable
            assert await alive(servers) == 1
            await ask(pool, asking("hi", max_tokens=4))


@requires_mosquitto()
@pytest.mark.parametrize("behind_each", [1, 2])
async def test_two_servers_die_however_many_workers_and_servers_there_are(behind_each: int) -> None:
    async with (
        asyncio.timeout(90),
        running_servers(3 * behind_each) as servers,
        running_mosquitto() as broker,
        AsyncExitStack() as stack,
    ):
        gateway = MqttTransport(AiomqttLink(broker.address, client_id="gateway"))
        await stack.enter_async_context(gateway.running())
        for number in range(3):
            pool = pool_of(servers[number * behind_each :][:behind_each])
            link = AiomqttLink(broker.address, client_id=f"worker-{number}")
            await stack.enter_async_context(Worker(pool, link).running())
        while len(gateway.workers) < 3:
            await gateway.presence_changed()
        with pytest.raises(UpstreamFailed, match="2 model servers broke off") as failed:
            await ask(gateway, deadly())
        assert not failed.value.retryable
        assert await alive(servers) == len(servers) - 2
        await ask(gateway, asking("hi", max_tokens=4))
