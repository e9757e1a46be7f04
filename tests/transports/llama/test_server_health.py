"""The transport over HTTP: the health, models and slots of its server."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.contract.errors import Unreachable
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.transport import Health
from tests.reading import events_of
from tests.transports.llama.model_server import MODELS, Answers, Server, transport_to
from tests.transports.llama.raw_server import RawServer, raw_server
from transports.llama import transport as transport_module
from transports.llama.transport import LlamaTransport

DEEP = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def raw() -> AsyncIterator[RawServer]:
    async with raw_server() as server:
        yield server


@pytest.mark.parametrize(
    ("answers", "ok", "detail"),
    [
        ({"/health": httpx.Response(200)}, True, "ready"),
        ({"/health": httpx.Response(503)}, False, "loading"),
        ({"/health": httpx.Response(200), "/v1/models": httpx.Response(200, json=[])}, True, "ready"),
        ({"/v1/models": httpx.Response(200, json=MODELS)}, True, "ready"),
        ({"/v1/models": httpx.Response(404)}, False, "404"),
        ({"/health": httpx.Response(401), "/v1/models": httpx.Response(401)}, False, "LLM_API_KEY"),
        ({"/health": httpx.Response(401), "/v1/models": httpx.Response(200, json=MODELS)}, True, "ready"),
        ({"/health": httpx.Response(405), "/v1/models": httpx.Response(200, json=MODELS)}, True, "ready"),
        ({"/health": httpx.Response(307), "/v1/models": httpx.Response(200, json=MODELS)}, True, "ready"),
        ({"/health": httpx.Response(500), "/v1/models": httpx.Response(200, json=MODELS)}, False, "500"),
        ({"/v1/models": httpx.Response(200, json={"object": "list", "data": None})}, True, "ready"),
        ({"/health": httpx.Response(200), "/v1/models": httpx.Response(403)}, False, "LLM_API_KEY"),
        (
            {"/health": httpx.ConnectError("no connection to a:1: refused")},
            False,
            "no connection to a:1: refused",
        ),
        ({"/v1/models": httpx.Response(200, content=b"<html>")}, False, "list of models"),
        ({"/v1/models": httpx.Response(200, content=DEEP)}, False, "list of models"),
        ({"/health": httpx.Response(200), "/v1/models": httpx.Response(200, content=DEEP)}, True, "ready"),
    ],
)
async def test_health_is_told_and_never_raised(
    server: Server, answers: Answers, ok: bool, detail: str
) -> None:
    server.answers |= answers
    health = await transport_to(server).health()
    assert health.ok is ok
    assert detail in health.detail


async def test_a_health_check_that_hangs_is_given_up(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "PROBE_S", 0.02)
    async with asyncio.timeout(30):
        health = await LlamaTransport(raw.url).health()
        assert not health.ok
        assert await LlamaTransport(raw.url).total_slots() is None


@pytest.mark.parametrize(
    ("answer", "slots"),
    [
        (httpx.Response(200, json={"total_slots": 4, "model_path": "x"}), 4),
        (httpx.Response(200, json={}), None),
        (httpx.Response(200, content=b"<html>"), None),
        (httpx.Response(200, content=DEEP), None),
        (httpx.Response(401), None),
        (httpx.ReadError("gone"), None),
    ],
)
async def test_slots_are_counted_where_the_server_tells(
    server: Server, answer: httpx.Response | Exception, slots: int | None
) -> None:
    server.answers["/props"] = answer
    assert await transport_to(server).total_slots() == slots


@pytest.mark.parametrize(
    ("told", "context"),
    [
        ({"default_generation_settings": {"n_ctx": 4096}}, 4096),
        ({"default_generation_settings": {"n_ctx": 0}}, None),
        ({"default_generation_settings": "x"}, None),
        ({}, None),
    ],
)
async def test_the_context_is_known_where_the_server_tells(
    server: Server, told: dict[str, object], context: int | None
) -> None:
    server.answers["/props"] = httpx.Response(200, json=told)
    transport = transport_to(server)
    await transport.total_slots()
    assert transport.abilities.context() == context
    server.answers["/props"] = httpx.Response(404)
    await transport.total_slots()
    assert transport.abilities.context() is None


async def test_models_are_learned_in_the_background_as_soon_as_the_server_is_there(server: Server) -> None:
    server.answers["/v1/models"] = httpx.ConnectError("not yet")
    pauses_s: list[float] = []
    known = asyncio.Event()

    async def sleep(pause_s: float) -> None:
        pauses_s.append(pause_s)
        if len(pauses_s) == 3:
            server.answers["/v1/models"] = httpx.Response(200, json=MODELS)
        if len(pauses_s) == 4:
            known.set()
            await asyncio.Event().wait()

    transport = transport_to(server, sleep=sleep)
    async with asyncio.timeout(30), transport.running():
        await known.wait()
        assert list(transport.models()) == ["big", "small"]
    assert pauses_s[0] < pauses_s[1] < pauses_s[2] < pauses_s[3]


async def test_a_server_that_is_away_is_named_with_its_setting(server: Server) -> None:
    server.answers = {"/health": httpx.ConnectError("no connection to llama:8080: Connection refused")}
    health = await transport_to(server, setting="LLM_SERVER_URL").health()
    said = "LLM_SERVER_URL=http://llama:8080: no connection to llama:8080: Connection refused"
    assert health == Health(False, said)


async def test_its_going_and_coming_is_one_line_each(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    away: dict[str, httpx.Response | Exception] = {
        "/health": httpx.ConnectError("no connection to llama:8080: Connection refused")
    }
    there: dict[str, httpx.Response | Exception] = {
        "/health": httpx.Response(200),
        "/v1/models": httpx.Response(200, json=MODELS),
    }
    states = iter([away, away, there, there, away])
    seen_all = asyncio.Event()

    async def next_state(_: float) -> None:
        state = next(states, None)
        if state is None:
            seen_all.set()
            await asyncio.Event().wait()
        else:
            server.answers = state

    caplog.set_level("INFO", "sluice")
    server.answers = away
    transport = transport_to(server, setting="LLM_SERVER_URL", sleep=next_state)
    async with asyncio.timeout(30), transport.running():
        await seen_all.wait()
    lines = [record.getMessage() for record in caplog.records if record.name == "sluice.servers"]
    lost = (
        "LLM_SERVER_URL=http://llama:8080: no connection to llama:8080: Connection refused. Replies fail "
        "until a model server is there: start it, or correct LLM_SERVER_URL"
    )
    assert lines == [lost, "LLM_SERVER_URL=http://llama:8080: the model server is ready", lost]


async def test_a_reply_that_cannot_reach_the_server_has_it_checked_at_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the log would say a minute later that the server is away, and where."""
    server.answers |= {"/health": httpx.Response(200), "/v1/models": httpx.Response(200, json=MODELS)}
    pauses: asyncio.Queue[None] = asyncio.Queue()

    async def endless(_: float) -> None:
        pauses.put_nowait(None)
        await asyncio.Event().wait()

    transport = transport_to(server, setting="LLM_SERVER_URL", sleep=endless)
    request = ChatRequest("0" * 32, [Turn("user", "Hi")])
    gone = httpx.ConnectError("no connection to llama:8080: Connection refused")
    async with asyncio.timeout(30), transport.running():
        await pauses.get()
        server.answers = dict.fromkeys(("/health", "/v1/chat/completions"), gone)
        with pytest.raises(Unreachable):
            await events_of(transport, request)
        await pauses.get()
        with pytest.raises(Unreachable):
            await events_of(transport, request)
        assert pauses.empty(), "one check: further ones come at their times"
    lines = [record.getMessage() for record in caplog.records if record.name == "sluice.servers"]
    assert len(lines) == 1
    assert lines[0].startswith(
        "LLM_SERVER_URL=http://llama:8080: no connection to llama:8080: Connection refused"
    )
