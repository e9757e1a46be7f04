"""A real database that takes no changes, seen over HTTP: it is told, and an end that was told stays."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.events import Delta, Done
from tests.store.faults import FAULTS, moved_away
from tests.web.gateway_server import STREAM, Served, served, unified_events
from transports.scripted import Step, tokens

Fault = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.core.reply_row.STORAGE_RETRY_S", 0.0)
    monkeypatch.setattr("gateway.store.sqlite_file.BUSY_S", 0.05)
    monkeypatch.setattr("gateway.store.probe.FRESH_S", 0.0)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_ready_is_503_while_nothing_can_be_written(tmp_path: Path, fault: Fault) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        await gateway.events({"content": "Hi"})
        before = await gateway.http.get("/ready")
        with fault(tmp_path / "gateway.db"):
            during = await gateway.http.get("/ready")
            page = await gateway.http.get("/", headers={"accept": "text/html"})
        after = await gateway.http.get("/ready")
    assert (before.status_code, during.status_code, after.status_code) == (200, 503, 200)
    assert "retry-after" in during.headers
    (missing,) = during.json()["missing"]
    assert missing.startswith("database: The database takes no changes: ")
    assert "The database takes no changes" in page.text


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_a_question_that_cannot_be_kept_is_503_and_uses_no_key(tmp_path: Path, fault: Fault) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        await gateway.events({"content": "first"})
        headers = {"Idempotency-Key": "k"}
        with fault(tmp_path / "gateway.db"):
            refused = await gateway.http.post(STREAM, json={"content": "Hi"}, headers=headers)
        taken = await gateway.http.post(STREAM, json={"content": "Hi"}, headers=headers)
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_failed")
    assert "retry-after" in refused.headers
    assert (taken.status_code, len(sessions)) == (200, 2)


async def resumed(gateway: Served, stream_id: str) -> list[dict[str, Any]]:
    async with gateway.http.stream("GET", f"{STREAM}/{stream_id}") as response:
        assert response.status_code == 200
        return [event async for event in unified_events(response)]


@pytest.mark.parametrize("ttl_s", [0, 600], ids=["forgotten", "remembered"])
@pytest.mark.parametrize("whole", [False, True], ids=["tokens", "whole"])
async def test_an_end_that_was_told_is_told_again_the_same_by_every_way(
    tmp_path: Path, ttl_s: float, whole: bool
) -> None:
    reached, hold = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reached.set()
        await hold.wait()

    said = Delta("Hello")
    script: list[Step] = [wait, [Done("stop", whole=[said])] if whole else [said, Done("stop")]]
    body, headers = {"content": "Hi"}, {"Idempotency-Key": "k"}
    async with served(tmp_path, lambda _: script, journal_ttl_s=ttl_s) as gateway:
        async with gateway.http.stream("POST", STREAM, json=body, headers=headers) as reply:
            await reached.wait()
            stream_id = reply.headers["sluice-stream-id"]
            await gateway.messages()  # somebody reads, so that a connection is open
            with moved_away(tmp_path / "gateway.db"):
                hold.set()
                heard = [event async for event in unified_events(reply)]
                again = await resumed(gateway, stream_id)
                async with gateway.http.stream("POST", STREAM, json=body, headers=headers) as once_more:
                    repeated = [event async for event in unified_events(once_more)]
                stopped = (await gateway.http.post(f"{STREAM}/{stream_id}/stop")).json()
                listed = (await gateway.messages())[1]
        assert (await gateway.http.get("/ready")).status_code == 200
        later = await resumed(gateway, stream_id)
        kept = (await gateway.messages())[1]
    end = heard[-1]
    assert (end["type"], end["reason"], end["full_content"]) == ("error", "storage_failed", "Hello")
    assert [again[-1], repeated[-1], later[-1]] == [end] * 3
    assert [
        "".join(event.get("content", "") for event in events) for events in (heard, again, repeated, later)
    ] == ["Hello"] * 4
    assert (stopped["status"], stopped["reason"]) == ("failed", "storage_failed")
    assert listed == kept
    assert (kept["status"], kept["reason"], kept["content"]) == ("failed", "storage_failed", "Hello")
