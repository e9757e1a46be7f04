"""Relays to gateways that do not answer, break off, or do not make the reply; and forged relays."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.core.key_ring import Caller
from gateway.web.door.callers import LOCAL
from gateway.web.http.asgi import Scope
from gateway.web.relay import absent_owners
from gateway.web.relay import relay as relay_module
from gateway.web.relay.seal import RelaySeal
from tests.live.looking import look_again
from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.gateway_server import STREAM, served
from tests.web.relay.answering import answering
from tests.web.relay.pair import TEXT, Pair, owner_of, pair, path_of
from transports.scripted import tokens

pytestmark = [pytest.mark.live, requires_postgres()]

NOWHERE = "http://127.0.0.1:1"
FROZEN = BROKEN = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\n: hi\n\r\n"
)

WHOLE = BROKEN + b"0\r\n\r\n"


@pytest.fixture
async def both(no_task_is_left_over: None, tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Pair]:
    async with asyncio.timeout(60), pair(tmp_path, postgres) as both:
        yield both


@pytest.mark.usefixtures("impatient")
async def test_an_address_of_nothing_is_named(both: Pair) -> None:
    left = await both.begun()
    both.owner_is(left.stream_id, "third/1", NOWHERE)
    refused = await both.second.http.get(path_of(left))
    assert refused.status_code == 503
    assert "retry-after" in refused.headers
    assert refused.json()["code"] == "unreachable"
    assert (
        refused.json()["detail"]
        == f"The reply is made by gateway third, which does not answer at its INTERNAL_URL {NOWHERE}."
    )


async def test_one_that_lives_and_does_not_answer_is_in_the_log_once(
    both: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(absent_owners, "REPLACED_S", 0)
    monkeypatch.setattr(relay_module, "WAIT_S", 0.2)
    left = await both.begun()
    both.owner_is(left.stream_id, "third/1", NOWHERE)
    for _ in range(2):
        assert (await both.second.http.get(path_of(left))).status_code == 503
    assert (
        caplog.text.count(f"gateway third lives, and this one gets no answer at its INTERNAL_URL {NOWHERE}")
        == 1
    )


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "error", [httpx.ConnectTimeout(""), AttributeError("getpeername"), OSError("ENOTCONN")]
)
async def test_an_owner_that_is_not_connected_is_named_in_the_log(
    both: Pair, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask = httpx.AsyncHTTPTransport.handle_async_request

    async def late(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        if str(request.url).startswith(NOWHERE):
            raise error
        return await ask(transport, request)

    left = await both.begun()
    both.owner_is(left.stream_id, "third/1", NOWHERE)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", late)
    with caplog.at_level("INFO", logger="sluice.relay"):
        refused = await both.second.http.get(path_of(left))
    assert refused.status_code == 503
    assert f"{NOWHERE}{path_of(left)}: {str(error) or 'ConnectTimeout'}" in caplog.text


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ["dead/1", "second/its earlier start"])
async def test_an_owner_without_an_address_is_named(both: Pair, name: str) -> None:
    left = await both.begun()
    both.owner_is(left.stream_id, name, None)
    refused = await both.second.http.get(path_of(left))
    assert refused.status_code == 503
    assert f"gateway {name.partition('/')[0]}, which does not answer." in refused.json()["detail"]


@pytest.mark.usefixtures("impatient")
async def test_an_address_of_the_reader_itself_is_no_loop(
    both: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = await both.begun()
    both.owner_is(left.stream_id, "third/1", both.second.url)
    relayed: list[Scope] = []
    opened = RelaySeal.opened

    def noted(seal: RelaySeal, scope: Scope) -> Caller:
        relayed.append(scope)
        return opened(seal, scope)

    monkeypatch.setattr(RelaySeal, "opened", noted)
    refused = await both.second.http.get(path_of(left))
    assert len(relayed) == 1
    assert refused.status_code == 503
    assert "gateway third" in refused.json()["detail"]


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 421 Misdirected\r\n\r\n"])
@pytest.mark.usefixtures("impatient")
async def test_an_owner_that_answers_nonsense_is_one_that_does_not_answer(both: Pair, answer: bytes) -> None:
    left = await both.begun()
    async with answering(answer) as url:
        both.owner_is(left.stream_id, "third/1", url)
        assert (await both.second.http.get(path_of(left))).status_code == 503


async def test_a_reader_whose_owner_breaks_off_sees_an_incomplete_response(both: Pair) -> None:
    left = await both.begun()
    async with answering(BROKEN) as url:
        both.owner_is(left.stream_id, "third/1", url)
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            await both.second.http.get(path_of(left))


@pytest.mark.parametrize("known", ["1000000003-9", "9-9", "2-3"])
async def test_an_event_id_of_the_new_owner_is_good_at_an_old_one_that_has_noticed_nothing(
    both: Pair, known: str
) -> None:
    left = await both.begun()
    async with answering(WHOLE) as url:
        both.owner_is(left.stream_id, "third/1", url, epoch=1)
        answer = await both.first.http.get(path_of(left), headers={"last-event-id": known})
    assert (answer.status_code, answer.text) == (200, ": hi\n")


async def test_an_event_id_of_no_owner_is_refused(both: Pair) -> None:
    left = await both.begun()
    for gateway in (both.first, both.second):
        answer = await gateway.http.get(path_of(left), headers={"last-event-id": "9-9"})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_event_id")


async def test_a_reader_whose_owner_is_frozen_is_cut_when_it_is_found_dead(both: Pair) -> None:
    left = await both.begun()
    relay = both.second.assembled.gateway.relay
    assert relay is not None
    async with answering(FROZEN, stays=True) as url:
        both.owner_is(left.stream_id, "third/1", url)
        async with both.second.http.stream("GET", path_of(left)) as response:
            pieces = response.aiter_raw()
            assert await anext(pieces) == b": hi\n"
            relay.cut(["fourth/1"])
            relay.cut(["third/1"])
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                await anext(pieces)


async def test_a_reader_whose_owner_is_found_dead_before_it_answers_goes_on_at_the_next_one(
    both: Pair,
) -> None:
    """A proxy that gets no answer to a request takes the gateway for dead, and soon all of them."""
    left = await both.begun()
    real = owner_of(both.first)
    relay = both.second.assembled.gateway.relay
    assert relay is not None
    async with answering(b"", stays=True) as url, both.coming_back(left) as reader:
        both.owner_is(left.stream_id, "third/1", url)
        await both.relaying()
        both.owner_is(left.stream_id, real, both.first.url)
        both.go.set()
        relay.cut(["third/1"])
        await reader.read()
    assert reader.source.text == TEXT


@pytest.mark.usefixtures("impatient")
async def test_an_event_source_whose_owner_is_away_is_asked_to_come_again(both: Pair) -> None:
    left = await both.begun()
    both.owner_is(left.stream_id, "third/1", NOWHERE)
    headers = {"accept": "text/event-stream"}
    paused = await both.second.http.get(path_of(left), headers=headers)
    assert (paused.status_code, paused.text.partition(" ")[0]) == (200, "retry:")


async def test_the_gateways_count_each_other(both: Pair) -> None:
    while [each.assembled.gateway.keys.gateways for each in (both.first, both.second)] != [2, 2]:
        await look_again()


async def test_a_reader_waits_until_another_gateway_has_taken_over(
    both: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = await both.begun()
    real = owner_of(both.first)
    both.owner_is(left.stream_id, "dead/1", NOWHERE)

    async def take_over(_: float) -> bool:
        both.owner_is(left.stream_id, real, both.first.url)
        both.go.set()
        return True

    monkeypatch.setattr(relay_module, "_pause", take_over)
    async with both.coming_back(left) as reader:
        await reader.read()
    assert reader.source.text == TEXT


async def test_a_frozen_owner_that_was_found_dead_is_not_asked_until_it_lives_again(
    both: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = await both.begun()
    relay = both.second.assembled.gateway.relay
    assert relay is not None
    real = owner_of(both.first)
    relay.cut([real, "third/1"])

    async def take_over(_: float) -> bool:
        both.owner_is(left.stream_id, real, both.first.url)
        both.go.set()
        relay.revive([real])
        return True

    monkeypatch.setattr(relay_module, "_pause", take_over)
    async with answering(b"", stays=True) as url, both.coming_back(left) as reader:
        both.owner_is(left.stream_id, "third/1", url)
        await reader.read()
    assert reader.source.text == TEXT


@pytest.mark.parametrize("seal", ["", "x", "9999999999.bG9jYWw." + "A" * 43])
async def test_a_forged_relay_is_refused(both: Pair, seal: str) -> None:
    left = await both.begun()
    for method in ("GET", "DELETE"):
        refused = await both.first.http.request(method, path_of(left), headers={"sluice-relay": seal})
        assert refused.status_code == 403
        assert "Sluice-Relay is only for gateways" in refused.json()["detail"]
    assert both.first.transport.open_requests


async def test_a_seal_is_only_for_its_own_request(both: Pair) -> None:
    left, other = await both.begun(), await both.begun()
    relay = both.second.assembled.gateway.relay
    assert relay is not None
    scope = {"method": "GET", "path": path_of(left), "query_string": b"", "root_path": ""}
    headers = {name.decode(): value.decode() for name, value in relay.seal.headers(scope, LOCAL)}
    assert (await both.first.http.delete(path_of(left), headers=headers)).status_code == 403
    assert (await both.first.http.get(path_of(other), headers=headers)).status_code == 403
    asked = await both.first.http.get(path_of(left), headers=headers, params={"last_event_id": "1-0"})
    assert asked.status_code == 403
    prefixed = {**headers, "sluice-relay-prefix": "//evil.example"}
    assert (await both.first.http.get(path_of(left), headers=prefixed)).status_code == 403
    async with both.first.http.stream("GET", path_of(left), headers=headers) as response:
        assert response.status_code == 200


async def test_a_relayed_post_starts_no_reply(both: Pair) -> None:
    relay = both.second.assembled.gateway.relay
    assert relay is not None
    scope = {"method": "POST", "path": STREAM, "query_string": b"", "root_path": ""}
    headers = {name.decode(): value.decode() for name, value in relay.seal.headers(scope, LOCAL)}
    for more in ({}, {"idempotency-key": "unused"}):
        both.go.set()
        response = await both.first.http.post(STREAM, json={"content": "Hi"}, headers={**headers, **more})
        assert response.status_code == 421
    assert both.first.transport.seen_requests == []


async def test_a_gateway_on_sqlite_takes_no_relay(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("a")) as gateway:
        refused = await gateway.http.get("/api/chatbot/sessions", headers={"sluice-relay": "x"})
    assert refused.status_code == 403
