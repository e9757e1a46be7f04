"""Relays to gateways that are silent: while a whole reply is made, or because the network drops packets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.web.relay import owner_client
from gateway.web.relay.owner_client import OwnerClient
from gateway.web.relay.owner_connection import OwnerConnections
from tests.live.looking import look_again
from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.gateway_server import served
from tests.web.relay.answering import answering
from tests.web.relay.pair import BEFORE, TEXT, Pair, pair, path_of
from transports.scripted import tokens

pytestmark = [pytest.mark.live, requires_postgres()]


@pytest.fixture
async def both(no_task_is_left_over: None, tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Pair]:
    """The second gateway does not wait at all for heartbeats of others."""
    async with asyncio.timeout(60), pair(tmp_path, postgres) as both:
        relay = both.second.assembled.gateway.relay
        assert relay is not None
        relay.client = OwnerClient(silence_s=0, whole_s=60)
        yield both


@pytest.mark.usefixtures("impatient")
async def test_a_whole_reply_has_no_heartbeats_and_is_waited_for(both: Pair) -> None:
    headers = {"idempotency-key": "k"}
    first = asyncio.create_task(_whole(both.first.http, headers))
    while not both.first.transport.open_requests:
        await look_again()
    second = asyncio.create_task(_whole(both.second.http, headers))
    await both.relaying()
    both.go.set()
    answers = [await first, await second]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].json()["assistant_message"]["content"] == TEXT


async def _whole(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.post("/api/chatbot/messages", json={"content": "Hi"}, headers=headers)


async def test_a_dialect_without_heartbeats_is_read_on_after_a_silence(both: Pair) -> None:
    left = await both.begun()
    async with both.second.http.stream("GET", path_of(left), params={"format": "plain"}) as response:
        pieces = response.aiter_text()
        assert await anext(pieces) == BEFORE
        both.go.set()
        assert "".join([piece async for piece in pieces]) == TEXT.removeprefix(BEFORE)


@pytest.mark.usefixtures("impatient")
async def test_an_owner_that_takes_a_request_and_is_silent_does_not_answer(
    both: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_client, "HEAD_S", 0.01)
    left = await both.begun()
    async with answering(b"", stays=True) as url:
        both.owner_is(left.stream_id, "third/1", url)
        assert (await both.second.http.get(path_of(left))).status_code == 503


async def test_connections_whose_packets_the_network_drops_are_noticed(tmp_path: Path) -> None:
    connections = OwnerConnections(60)
    async with served(tmp_path, lambda _: tokens("a")) as gateway, connections.open() as transport:
        response = await transport.handle_async_request(connections.request("GET", f"{gateway.url}/health"))
        connected = response.extensions["network_stream"].get_extra_info("socket")
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await response.aread()


async def test_a_stream_without_its_heartbeats_is_cut(both: Pair) -> None:
    left = await both.begun()
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        await both.second.http.get(path_of(left))
