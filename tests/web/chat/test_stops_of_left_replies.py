"""Stops of a reply that its gateway leaves to another one in the same moment."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.events import Delta, Done
from gateway.core.run import LEFT, Outcome, Run
from gateway.core.runs import Runs
from tests.web.gateway_server import served
from transports.scripted import Step


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/chat/c1/stop"),
        ("POST", "/messages/stream/{stream_id}/stop"),
        ("DELETE", "/api/admin/streams/{stream_id}"),
    ],
)
async def test_a_stop_reaches_the_next_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    paused, held = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        paused.set()
        await held.wait()

    async def leave(_: Runs, __: Run) -> Outcome:
        return LEFT

    script: list[Step] = [[Delta("halfway")], pause, [Done("stop")]]
    asked = {"id": "c1", "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]}
    async with served(tmp_path, lambda _: script) as gateway:
        asking = asyncio.ensure_future(gateway.http.post("/api/chat", json=asked))
        await paused.wait()
        (run,) = gateway.assembled.gateway.runs.all()
        monkeypatch.setattr(Runs, "end", leave)
        answer = await gateway.http.request(method, path.format(stream_id=run.stream_id))
        (_, reply) = await gateway.messages()
        held.set()
        await asking
    assert answer.is_success
    assert (reply["status"], reply["reason"]) == ("cancelled", "user_stop")
