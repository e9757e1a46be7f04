"""A request that crashes real llama.cpp servers: it reaches two of them at most, however many there are."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gateway.contract.errors import ModelRefused, UpstreamFailed
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Transport
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.llama_server import LlamaServer, asking, requires_llama, running_llama
from tests.reading import reading
from transports.llama import chat_completion
from transports.llama.embedded_server import tiny_model_path
from transports.llama.servers import LlamaServers
from transports.llama.transport import LlamaTransport
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker

pytestmark = [pytest.mark.live, requires_llama()]


@pytest.fixture
def no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the limits of requests, as if a deadly request were not known yet."""
    monkeypatch.setattr(chat_completion, "check_request", lambda _: None)


def deadly() -> ChatRequest:
    """Return a request that crashes llama.cpp: its grammar parser recurses for each parenthesis."""
    return asking("hi", options={"grammar": "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000})


@asynccontextmanager
async def running_servers(count: int) -> AsyncIterator[list[LlamaServer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running_llama(tiny_model_path())) for _ in range(count)]


def pool_of(servers: Sequence[LlamaServer]) -> LlamaServers:
    return LlamaServers([(server.url, LlamaTransport(server.url)) for server in servers])


async def ask(transport: Transport, request: ChatRequest) -> None:
    async with reading(transport, request) as stream:
        async for _ in stream:
            pass


async def alive(servers: Sequence[LlamaServer]) -> int:
    return sum([await server.is_alive() for server in servers])


@pytest.mark.usefixtures("no_limits")
async def test_two_of_three_servers_of_a_pool_die_and_the_third_goes_on() -> None:
    async with asyncio.timeout(120), running_servers(3) as servers:
        pool = pool_of(servers)
        async with pool.running():
            with pytest.raises(UpstreamFailed, match="2 model servers broke off") as failed:
                await ask(pool, deadly())
            assert not failed.value.retryable
            assert await alive(servers) == 1
            await ask(pool, asking("hi", max_tokens=4))


@pytest.mark.usefixtures("no_limits")
@requires_mosquitto()
@pytest.mark.parametrize("behind_each", [1, 2])
async def test_two_servers_die_however_many_workers_and_servers_there_are(behind_each: int) -> None:
    async with (
        asyncio.timeout(300),
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


STALLING: list[dict[str, Any]] = [
    {"options": {"grammar": "root ::= " + '"a"? ' * 3_000}},
    {"options": {"json_schema": {"type": "string", "minLength": 50, "maxLength": 3}}},
    {"options": {"json_schema": {"type": "string", "pattern": "^a{2,1}$"}}},
    {"options": {"dry_multiplier": 1.0, "dry_penalty_last_n": 2**31 - 1}},
]


async def test_what_is_known_to_kill_or_stall_a_server_never_reaches_it() -> None:
    async with asyncio.timeout(120), running_servers(1) as servers:
        alone = LlamaTransport(servers[0].url)
        for request in [deadly(), *(asking("hi", **settings) for settings in STALLING)]:
            with pytest.raises(ModelRefused, match="does not fit"):
                await ask(alone, request)
        await ask(alone, asking("hi", max_tokens=4))


@requires_mosquitto()
async def test_a_worker_refuses_it_too_whoever_asks() -> None:
    async with asyncio.timeout(120), running_servers(1) as servers, running_mosquitto() as broker:
        gateway = MqttTransport(AiomqttLink(broker.address, client_id="gateway"))
        worker = Worker(pool_of(servers), AiomqttLink(broker.address, client_id="worker-0"))
        async with gateway.running(), worker.running():
            await gateway.until_ready()
            with pytest.raises(ModelRefused, match="does not fit"):
                await ask(gateway, deadly())
            await ask(gateway, asking("hi", max_tokens=4))
