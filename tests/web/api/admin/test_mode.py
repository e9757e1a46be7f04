"""The mode is switched while the gateway runs: at once for new replies, never for running ones."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities, Health
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import bearer, make_key
from transports.scripted import Script, ScriptedTransport, Step, tokens

MODE = "/api/admin/mode"
STREAMS = 200
SWITCHES = 50
SLOWLY_S = 900
"""All deadlines of the long test: it takes 4 s on an idle machine, and much longer on a busy one."""


class Away(ScriptedTransport):
    """Its health check says that it has no worker; it would answer all the same."""

    @property
    def abilities(self) -> Abilities:
        return Abilities(health=self.health)

    async def health(self) -> Health:
        return Health(False, "no MQTT worker is ready")


def workers(script: Script = lambda _: tokens("by mqtt"), kind: type = ScriptedTransport) -> Any:
    return kind(script, name="mqtt")


async def switch(http: httpx.AsyncClient, mode: str, query: str = "", **more: Any) -> httpx.Response:
    return await http.put(f"{MODE}{query}", json={"mode": mode}, **more)


async def said(gateway: Served) -> tuple[str, str]:
    """Ask, and return the mode of the reply and its text."""
    *_, done = await gateway.events({"content": "Hi"})
    return done["mode"], done["full_content"]


async def test_new_replies_use_the_new_mode_and_everything_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sluice")
    async with served(tmp_path, lambda _: tokens("by sse"), mqtt=workers()) as gateway:
        before = await said(gateway)
        assert (await gateway.http.get("/ready")).json()["mode"] == "sse"
        switched = await switch(gateway.http, "mqtt")
        after = await said(gateway)
        ready = (await gateway.http.get("/ready")).json()
        figures = (await gateway.http.get("/api/metrics")).json()
        page = (await gateway.http.get("/", headers={"accept": "text/html"})).text
        shown = (await gateway.http.get(MODE)).json()
        back = (await gateway.http.delete(MODE)).json()
        at_last = await said(gateway)
    assert (before, after, at_last) == (("sse", "by sse"), ("mqtt", "by mqtt"), ("sse", "by sse"))
    assert (switched.status_code, switched.json()) == (200, shown)
    assert (ready["mode"], figures["mode"]) == ("mqtt", "mqtt")
    assert "<dd>mqtt</dd>" in page
    assert (shown["mode"], shown["setting"], shown["switch"]["mode"]) == ("mqtt", "sse", "mqtt")
    assert shown["switch"]["by"] == {"name": "local", "key_id": None, "source": "127.0.0.1"}
    assert {state["mode"]: state["ok"] for state in shown["modes"]} == dict.fromkeys(
        ("sse", "mqtt", "auto"), True
    )
    assert (back["mode"], back["switch"]) == ("sse", None)
    assert "mode.switch mqtt by local from 127.0.0.1, before sse" in caplog.text
    assert "mode.reset sse by local from 127.0.0.1, before mqtt" in caplog.text


class Rounds:
    """Two transports whose replies advance by one token in each round, all at the same time."""

    def __init__(self) -> None:
        self._begun = [asyncio.Event() for _ in range(SWITCHES)]

    def begin(self, number: int) -> None:
        self._begun[number].set()

    def script_of(self, name: str) -> Script:
        def script(request: ChatRequest) -> list[Step]:
            if request.turns[-1].content == "short":
                return tokens(f"{name} ", "short")
            steps: list[Step] = []
            for number, begun in enumerate(self._begun):
                steps += [_wait(begun), [Delta(f"{name}{number} ")]]
            return [*steps, [Done("stop")]]

        return script


def _wait(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        await event.wait()

    return wait


def whole(mode: str) -> str:
    return "".join(f"{mode}{number} " for number in range(SWITCHES))


async def test_fifty_switches_under_two_hundred_open_streams_drop_and_mix_none(tmp_path: Path) -> None:
    rounds = Rounds()
    opened: asyncio.Queue[str] = asyncio.Queue()

    async def read(http: httpx.AsyncClient) -> list[dict[str, Any]]:
        async with http.stream("POST", STREAM, json={"content": "long"}) as response:
            assert response.status_code == 200, await response.aread()
            events: AsyncIterator[dict[str, Any]] = unified_events(response)
            told = [await anext(events)]
            opened.put_nowait(told[0]["mode"])
            return told + [event async for event in events]

    async with (
        served(
            tmp_path,
            rounds.script_of("sse"),
            mqtt=workers(rounds.script_of("mqtt")),
            within_s=SLOWLY_S,
            reply_deadline_s=SLOWLY_S,
            send_timeout_s=SLOWLY_S,
        ) as gateway,
        plain_http(gateway.url, limits=httpx.Limits(max_connections=None), timeout=SLOWLY_S) as http,
        asyncio.TaskGroup() as group,
    ):
        readers = []
        for mode in ("sse", "mqtt"):
            assert (await switch(gateway.http, mode)).status_code == 200
            readers += [group.create_task(read(http)) for _ in range(STREAMS // 2)]
            assert {await opened.get() for _ in range(STREAMS // 2)} == {mode}
        for number in range(SWITCHES):
            mode = ("sse", "mqtt")[number % 2]
            assert (await switch(gateway.http, mode)).json()["mode"] == mode
            rounds.begin(number)
            *_, done = await gateway.events({"content": "short"})
            assert (done["type"], done["mode"], done["full_content"]) == ("done", mode, f"{mode} short")
        told = [await reader for reader in readers]
        (session, *_) = (await gateway.http.get("/api/chatbot/sessions?limit=1")).json()
        kept = await gateway.messages(session["id"])
    for metadata, *chunks, done in told:
        mode = metadata["mode"]
        assert (done["type"], done["mode"], done["delivery"]) == ("done", mode, "token")
        assert "".join(chunk["content"] for chunk in chunks) == done["full_content"] == whole(mode)
    assert [metadata["mode"] for metadata, *_ in told] == ["sse"] * 100 + ["mqtt"] * 100
    assert kept[-1]["status"] == "complete"


async def test_a_mode_that_cannot_serve_is_refused_unless_forced(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("by sse"), mqtt=workers(kind=Away)) as gateway:
        refused = await switch(gateway.http, "mqtt")
        assert await said(gateway) == ("sse", "by sse")
        forced = await switch(gateway.http, "mqtt", "?force=1")
        assert await said(gateway) == ("mqtt", "by mqtt")
        ready = await gateway.http.get("/ready")
        (change,) = (await gateway.http.get("/api/admin/audit")).json()
    assert (refused.status_code, refused.json()["code"]) == (409, "mode_unavailable")
    assert refused.headers["content-type"] == "application/problem+json"
    assert "no MQTT worker is ready" in refused.json()["detail"]
    assert (forced.status_code, forced.json()["mode"]) == (200, "mqtt")
    assert (ready.status_code, ready.json()["missing"]) == (503, ["mode mqtt: no MQTT worker is ready"])
    assert change["detail"] == {"before": "sse", "forced_despite": "no MQTT worker is ready"}


@pytest.mark.parametrize("query", ["", "?force=1"])
async def test_a_mode_that_is_not_set_up_is_refused_even_if_forced(tmp_path: Path, query: str) -> None:
    async with served(tmp_path, lambda _: tokens("x"), llm_mode_order="mqtt") as gateway:
        for mode in ("mqtt", "auto"):
            refused = await switch(gateway.http, mode, query)
            assert (refused.status_code, refused.json()["code"]) == (409, "mode_unavailable")
            assert "MQTT_BROKER_HOST is empty" in refused.json()["detail"]
        assert (await gateway.http.get(MODE)).json()["mode"] == "sse"
        assert (await gateway.http.get("/api/admin/audit")).json() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"mode": "carrier pigeon"}', 422),
        (b'{"mode": null}', 422),
        (b'{"mode": ["mqtt"]}', 422),
        (b'{"mode": "mqtt", "forced": true}', 422),
    ],
)
async def test_a_body_that_does_not_fit_is_refused(tmp_path: Path, body: bytes, status: int) -> None:
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers()) as gateway:
        refused = await gateway.http.put(MODE, content=body, headers={"content-type": "application/json"})
        assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
        assert (await switch(gateway.http, "mqtt", "?force=maybe")).status_code == 422
        assert (await gateway.http.get(MODE)).json()["mode"] == "sse"


async def test_a_switch_is_kept_over_a_restart_with_its_author_and_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sluice")
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers()) as gateway:
        key = await make_key(gateway, "anna", frozenset({"admin"}))
        shown = (await switch(gateway.http, "mqtt", headers=bearer(key))).json()
    assert shown["switch"]["by"] == {"name": "anna", "key_id": 1, "source": "127.0.0.1"}
    caplog.clear()
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers()) as gateway:
        assert (await gateway.http.get(MODE, headers=bearer(key))).json() == shown
        assert gateway.assembled.modes.mode == "mqtt"
    assert "the mode is mqtt, by the switch of anna (key 1) from 127.0.0.1 at 20" in caplog.text
    assert "LLM_COMM_MODE is sse. Back to it: sluice mode --reset" in caplog.text


async def test_a_setting_that_was_changed_later_wins_and_drops_the_switch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers()) as gateway:
        await switch(gateway.http, "mqtt")
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers(), llm_comm_mode="auto") as gateway:
        shown = (await gateway.http.get(MODE)).json()
        (latest, *_) = (await gateway.http.get("/api/admin/audit")).json()
    assert (shown["mode"], shown["setting"], shown["switch"]) == ("auto", "auto", None)
    assert "the mode is auto, from LLM_COMM_MODE. It was sse at the switch to mqtt by local" in caplog.text
    assert (latest["action"], latest["subject"], latest["by"]["name"]) == ("mode.reset", "auto", "gateway")
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers()) as gateway:
        assert (await gateway.http.get(MODE)).json()["mode"] == "sse"


async def test_a_kept_switch_that_cannot_be_used_any_more_does_not_keep_the_gateway_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers()) as gateway:
        await switch(gateway.http, "mqtt")
    async with served(tmp_path, lambda _: tokens("by sse")) as gateway:
        shown = (await gateway.http.get(MODE)).json()
        assert await said(gateway) == ("sse", "by sse")
    assert (shown["mode"], shown["switch"]["mode"]) == ("sse", "mqtt")
    assert "the switch to mqtt by local" in caplog.text
    assert "cannot be used: MQTT_BROKER_HOST is empty" in caplog.text
