"""A gateway that other gateways may find dead, because it does not reach the database."""

import asyncio
from pathlib import Path

import httpx
import pytest

from gateway.contract.errors import StorageFailed
from gateway.contract.events import Delta, Done
from tests.web.event_source import EventSource
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import Step


class Reply:
    """A reply that pauses after its first word."""

    def __init__(self) -> None:
        self.paused, self.go = asyncio.Event(), asyncio.Event()

    def steps(self, _: object) -> list[Step]:
        async def pause() -> None:
            self.paused.set()
            await self.go.wait()

        return [[Delta("before ")], pause, [Delta("and after")], [Done("stop")]]


async def read(gateway: Served, reader: EventSource, url: str | None = None) -> httpx.Headers:
    """Read to the end of the connection, also if it is cut off; the first time as POST."""
    method, path, json = (
        ("POST", STREAM, {"content": "Hi", "resumable": True}) if url is None else ("GET", url, None)
    )
    headers = {} if reader.last_id is None else {"last-event-id": reader.last_id}
    half = b""
    async with gateway.http.stream(method, path, json=json, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        try:
            async for part in response.aiter_raw():
                half = reader.take(half + part)
        except httpx.RemoteProtocolError:
            pass
    reader.take(half)
    return response.headers


async def test_its_reader_is_cut_off_sent_away_and_reads_on_where_it_was_when_it_is_back(
    tmp_path: Path,
) -> None:
    reply, reader = Reply(), EventSource()
    async with served(tmp_path, reply.steps) as gateway:
        runs = gateway.assembled.gateway.runs
        reading = asyncio.ensure_future(read(gateway, reader))
        await reply.paused.wait()
        runs.fence(True)
        url = (await reading)["sluice-resume-url"]
        assert (reader.text, reader.ends) == ("before ", [])

        await read(gateway, reader, url)
        assert (reader.text, reader.ends) == ("before ", [])
        assert reader.retry_ms is not None

        runs.fence(False)
        reply.go.set()
        await read(gateway, reader, url)
    assert reader.text == "before and after"
    assert [end["type"] for end in reader.ends] == ["done"]


async def test_classic_replies_go_on_and_no_new_one_begins(tmp_path: Path) -> None:
    reply = Reply()
    async with served(tmp_path, reply.steps) as gateway:
        reading = asyncio.ensure_future(gateway.events({"content": "Hi"}))
        await reply.paused.wait()
        gateway.assembled.gateway.runs.fence(True)
        refused = await gateway.http.post(STREAM, json={"content": "another"})
        reply.go.set()
        events = await reading
        messages = await gateway.messages()

    assert events[-1]["full_content"] == "before and after"
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_failed")
    assert len(messages) == 2


async def test_a_reply_that_has_ended_is_read_as_always(tmp_path: Path) -> None:
    reply, reader, again = Reply(), EventSource(), EventSource()
    reply.go.set()
    async with served(tmp_path, reply.steps) as gateway:
        url = (await read(gateway, reader))["sluice-resume-url"]
        gateway.assembled.gateway.runs.fence(True)
        await read(gateway, again, url)

    assert reader.text == again.text == "before and after"


@pytest.mark.parametrize(("format", "status"), [("openai", 200), ("ai-sdk", 503), ("ag-ui", 503)])
async def test_a_reader_that_cannot_resume_gets_an_error(tmp_path: Path, format: str, status: int) -> None:
    reply = Reply()
    async with served(tmp_path, reply.steps) as gateway:
        gateway.assembled.gateway.runs.fence(True)
        away = await gateway.http.get(f"{STREAM}/{'0' * 32}?format={format}")

    assert away.status_code == status
    assert away.text.startswith("retry: ") == (status == 200)


async def test_an_event_source_is_sent_away_while_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise StorageFailed("away")

    reply = Reply()
    async with served(tmp_path, reply.steps) as gateway:
        reading = asyncio.ensure_future(read(gateway, EventSource()))
        await reply.paused.wait()
        monkeypatch.setattr(gateway.assembled.gateway.keys, "be_fresh", away)
        (run,) = gateway.assembled.gateway.runs.all()
        assert run.resume_url is not None
        event_source = await gateway.http.get(run.resume_url, headers={"accept": "text/event-stream"})
        another = await gateway.http.get(run.resume_url)
        monkeypatch.undo()
        reply.go.set()
        await reading

    assert (event_source.status_code, event_source.text[:7]) == (200, "retry: ")
    assert event_source.headers["content-type"].startswith("text/event-stream")
    assert (another.status_code, another.json()["code"]) == (503, "storage_failed")
