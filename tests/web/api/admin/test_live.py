"""The live state of the gateway, for a control room."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, Done, Usage
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities
from tests.web.api.test_workers import WORKER
from tests.web.gateway_server import STREAM, served, unified_events
from tests.web.key_holders import bearer, keys_of, make_key
from transports.scripted import ScriptedTransport, Step

LIVE = "/api/admin/live"


class WithWorker(ScriptedTransport):
    """It has one worker, which was heard so many seconds ago."""

    last_heard_s = 9.0

    @property
    def abilities(self) -> Abilities:
        return Abilities(workers=lambda: [replace(WORKER, last_heard_s=self.last_heard_s)])


Event = dict[str, Any]


async def until(events: AsyncIterator[Event], kind: str, fits: Callable[[Event], bool]) -> Event:
    """Read up to the first event of this kind that fits."""
    async for event in events:
        if event["type"] == kind and fits(event):
            return event
    raise AssertionError(f"the stream ended without a {kind} that fits")


def said(request: ChatRequest) -> str:
    return str(request.turns[-1].content)


async def test_the_state_shows_streams_failures_and_the_last_hour(tmp_path: Path) -> None:
    held = asyncio.Event()

    def script(request: ChatRequest) -> list[Step]:
        if said(request) == "fail":
            return [UpstreamFailed("The model server broke off.")]
        return [[Delta("halfway"), Usage(3, 4, 7, 5.0)], held.wait, [Delta(" there")], [Done("stop")]]

    async with served(tmp_path, script) as gateway:
        await keys_of(gateway).add_device("robot-1", "local")
        async with gateway.http.stream("GET", LIVE) as response:
            events = unified_events(response)
            first = await until(events, "state", lambda event: True)
            async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as reply:
                own = unified_events(reply)
                stream_id = (await anext(own))["stream_id"]
                await anext(own)
                running = await until(events, "state", lambda event: bool(event["streams"]))
                held.set()
                assert [event async for event in own][-1]["type"] == "done"
            done = await until(events, "state", lambda event: not event["streams"])
            hour = await until(events, "hour", lambda event: bool(event["minutes"]))
            await gateway.events({"content": "fail"})
            failed = await until(events, "state", lambda event: bool(event["failures"]))
            later = await until(
                events, "hour", lambda event: any(minute["errors"] for minute in event["minutes"])
            )
    assert response.headers["content-type"].startswith("text/event-stream")
    assert (first["gateway"]["status"], first["gateway"]["running"], first["streams"]) == ("up", 0, [])
    assert first["database"] == {"ok": True, "detail": "accepts changes"}
    assert {mode["mode"]: mode["ok"] for mode in first["modes"]}["sse"] is True
    assert first["broker"] is None
    assert first["devices"] == [{"name": "robot-1", "user": "local", "presence": "unknown"}]
    (stream,) = running["streams"]
    assert (stream["id"], stream["user"], stream["chars"], stream["readers"]) == (stream_id, "local", 7, 1)
    assert stream["chars_per_s"] >= 0
    assert stream["tokens_per_s"] >= 0
    assert done["gateway"]["running"] == 0
    (minute,) = hour["minutes"]
    assert (minute["replies"], minute["tokens"], minute["tokens_per_s"], minute["errors"]) == (1, 4, 5.0, {})
    (failure,) = failed["failures"]
    assert (failure["code"], failure["message"]) == ("upstream_error", "The model server broke off.")
    assert failure["advice"]
    assert {reason: n for each in later["minutes"] for reason, n in each["errors"].items()} == {
        "upstream_error": 1
    }


async def test_it_needs_the_scope_admin_and_ends_with_the_key(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        key = await make_key(gateway, "ops", frozenset({"admin"}))
        chats = await make_key(gateway, "anna")
        refused = [
            (await gateway.http.get(LIVE, headers=headers)).status_code for headers in ({}, bearer(chats))
        ]
        head = await gateway.http.head(LIVE, headers=bearer(key))
        async with gateway.http.stream("GET", LIVE, headers=bearer(key)) as response:
            events = unified_events(response)
            await until(events, "state", lambda event: True)
            keys = (await gateway.http.get("/api/admin/keys", headers=bearer(key))).json()
            id = next(each["id"] for each in keys if each["user"] == "ops")
            await gateway.http.delete(f"/api/admin/keys/{id}", headers=bearer(key))
            async for _ in events:
                pass
    assert refused == [401, 403]
    assert head.status_code == 200


async def test_it_ends_with_a_time_to_come_back_when_the_gateway_drains(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        async with gateway.http.stream("GET", LIVE) as response:
            chunks = response.aiter_raw()
            told = await anext(chunks)
            woken: list[bool] = []
            gateway.assembled.gateway.runs.on_drain.add(lambda: woken.append(True))
            await gateway.assembled.drain(asyncio.Event())
            async for chunk in chunks:
                told += chunk
        assert woken
    assert b'"status":"draining"' in told
    assert told.rstrip().rpartition(b"\n")[2].startswith(b"retry: ")


async def test_the_state_is_told_again_when_a_worker_was_heard(tmp_path: Path) -> None:
    async with (
        served(tmp_path, lambda _: [], kind=WithWorker) as gateway,
        gateway.http.stream("GET", LIVE) as response,
    ):
        states = (event async for event in unified_events(response) if event["type"] == "state")
        first = await anext(states)
        cast(WithWorker, gateway.transport).last_heard_s = 0.0
        second = await anext(states)
    assert [told["workers"][0]["worker"]["last_heard_s"] for told in (first, second)] == [9.0, 0.0]


async def test_nothing_is_checked_while_nobody_watches(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        runs = gateway.assembled.gateway.runs
        async with gateway.http.stream("GET", LIVE) as response:
            await until(unified_events(response), "state", lambda event: True)
            watched = len(runs.on_drain)
        while runs.on_drain:
            await gateway.http.get("/health")
    assert watched == 1


async def test_a_list_of_sessions_marks_those_with_a_running_reply(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [[Delta("on ")]]) as gateway:
        await gateway.http.post("/api/chatbot/sessions", json={"title": "still"})
        async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as reply:
            events = unified_events(reply)  # closes the response when it is dropped
            await anext(events)
            listed = (await gateway.http.get("/api/chatbot/sessions")).json()
            one = (await gateway.http.get("/api/chatbot/sessions/2")).json()
    assert {session["title"]: session["live"] for session in listed} == {"Hi": True, "still": False}
    assert one["live"] is True
