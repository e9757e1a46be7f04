"""The live panel's figures: real, never null, and not held up by anybody's silence."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, Done, ToolCall, Usage
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Health
from gateway.web.api.health import HEALTH_AGE_S, LastHealth
from tests.web.gateway_server import STREAM, Served, served, unified_events
from transports.scripted import Step, tokens

COUNTED: list[Step] = [
    [Delta("Hi")],
    [ToolCall("c1", "weather", "{}"), ToolCall("c2", "time", "{}")],
    [Usage(7, 3, 10, 50.0), Done("tool_calls", "tiny")],
]


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        yield gateway


async def metrics_of(gateway: Served) -> dict[str, Any]:
    answer = await gateway.http.get("/api/metrics")
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    assert not any(value is None for value in values_in(told))
    return told


def values_in(told: Any) -> Iterator[Any]:
    if isinstance(told, dict | list):
        for part in told.values() if isinstance(told, dict) else told:
            yield from values_in(part)
    else:
        yield told


async def test_an_idle_gateway_has_every_figure(gateway: Served) -> None:
    told = await metrics_of(gateway)
    assert (told["gateway"]["status"], told["mode"]) == ("up", "sse")
    assert told["gateway"]["uptime"] >= 0
    assert (
        told["llm"]
        == told["ollama"]
        == {
            "status": "up",
            "models": [],
            "contextTokens": 0,
            "servers": [],
        }
    )
    assert told["mqtt"] == {"status": "down", "workers": []}
    assert told["memory"]["chunks"] == 0
    assert told["memory"]["sizeBytes"] > 0
    assert told["sessions"] == {"active": 0, "total": 0}
    nothing = ("messagestoday", "toolCalls", "avgResponseMs", "tokensPerSecond", "ttftMs")
    assert told["stats"] == dict.fromkeys(nothing, 0)


async def test_replies_show_in_the_figures(gateway: Served) -> None:
    for _ in range(2):
        await gateway.events({"content": "Hi"})
    told = await metrics_of(gateway)
    assert told["memory"]["chunks"] == 4
    assert told["sessions"]["total"] == 2
    stats = told["stats"]
    assert (stats["messagestoday"], stats["toolCalls"], stats["tokensPerSecond"]) in {(4, 4, 50), (2, 2, 50)}
    assert stats["avgResponseMs"] >= stats["ttftMs"] >= 0


async def test_a_session_is_active_while_it_has_a_reply_in_the_making(tmp_path: Path) -> None:
    held = asyncio.Event()
    script: list[Step] = [[Delta("Hi")], held.wait, [Done("stop")]]
    async with served(tmp_path, lambda _: script) as gateway:
        async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as reply:
            events = unified_events(reply)
            for _ in range(2):
                await anext(events)
            told = await metrics_of(gateway)
            held.set()
            assert [event["type"] async for event in events] == ["done"]
        after = await metrics_of(gateway)
    assert (told["sessions"]["active"], told["gateway"]["runs"]) == (1, 1)
    assert (after["sessions"]["active"], after["gateway"]["runs"]) == (0, 0)


async def test_failed_replies_are_counted(tmp_path: Path) -> None:
    def script(asked: ChatRequest) -> list[Step]:
        return [UpstreamFailed("broken")] if asked.turns[-1].content == "fail" else tokens("x")

    async with served(tmp_path, script) as gateway:
        for content in ("Hi", "fail", "fail"):
            await gateway.events({"content": content})
        told = (await metrics_of(gateway))["gateway"]
    assert (told["ended"], told["failed"]) == (3, 2)


async def test_a_model_server_that_is_ill_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ill() -> Health:
        return Health(False, "llama.cpp does not answer")

    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        monkeypatch.setattr(gateway.transport, "health", ill)
        told = await metrics_of(gateway)
    assert (told["llm"]["status"], told["ollama"]["status"]) == ("down", "down")


class Patient:
    """Somebody whose health is asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.ok = True
        self.silent = False

    async def health(self) -> Health:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        return Health(self.ok, "")


async def test_health_is_asked_for_once_by_many_and_again_when_it_is_old() -> None:
    patient, now = Patient(), 0.0
    last = LastHealth(patient.health, clock=lambda: now)
    assert [health.ok for health in await asyncio.gather(*(last.ask() for _ in range(5)))] == [True] * 5
    patient.ok = False
    assert ((await last.ask()).ok, patient.asked) == (True, 1)
    now = HEALTH_AGE_S + 0.1
    assert ((await last.ask()).ok, patient.asked) == (False, 2)


async def test_an_answer_that_took_longer_than_it_holds_serves_all_who_waited_for_it() -> None:
    patient, now = Patient(), 0.0

    async def slow() -> Health:
        nonlocal now
        now += 5 * HEALTH_AGE_S
        await asyncio.sleep(0)
        return await patient.health()

    last = LastHealth(slow, clock=lambda: now)
    await asyncio.gather(*(last.ask() for _ in range(5)))
    assert patient.asked == 1


async def test_silence_is_down_and_is_not_waited_for_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.api.metrics.HEALTH_WAIT_S", 0)
    patient = Patient()
    patient.silent = True
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        monkeypatch.setattr(gateway.transport, "health", patient.health)
        told = [(await metrics_of(gateway))["llm"]["status"] for _ in range(3)]
    assert told == ["down"] * 3
    assert patient.asked == 1


async def test_however_many_pages_are_asked_for_the_model_server_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.api.health.HEALTH_AGE_S", 60)
    patient = Patient()
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        monkeypatch.setattr(gateway.transport, "health", patient.health)
        pages = [gateway.http.get(path) for path in ("/ready", "/", "/api/metrics") for _ in range(10)]
        answers = await asyncio.gather(*pages)
    assert {answer.status_code for answer in answers} == {200}
    assert patient.asked == 1
