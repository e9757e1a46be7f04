"""A gateway with OTEL_EXPORTER_OTLP_ENDPOINT, and the spans that a collector gets from it."""

import asyncio
import logging
import threading
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import NotSupported, UpstreamFailed
from gateway.contract.events import Delta, Done, Usage
from gateway.contract.transport import Abilities
from gateway.telemetry.traces.exporting import QUIET_S, FewLines
from gateway.telemetry.traces.otel_traces import MAX_PATH_CHARS
from tests.telemetry.collector import Collector, running_collector
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.sockets.page_socket import page_socket
from transports.scripted import Script, ScriptedTransport, Step, tokens

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
COUNTED: list[Step] = [[Delta("Hi")], [Delta("!"), Usage(7, 3, 10, 50.0), Done("stop", "tiny")]]


class Tiny(ScriptedTransport):
    """Lists the model `tiny`."""

    @property
    def abilities(self) -> Abilities:
        return Abilities(health=self.health, models=lambda: ["tiny"])


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with running_collector() as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_is_sent_later() -> Iterator[None]:
    """Wait for the thread that retries the last spans.

    It draws random numbers, which Hypothesis refuses while it draws cases for the test that comes next.
    """
    yield
    for thread in threading.enumerate():
        if thread.name == "last spans":
            thread.join()


def traced(tmp_path: Path, collector: Collector, script: Script, **settings: Any) -> Any:
    """Return a gateway that sends its spans to the collector, the last ones when the block ends."""
    return served(
        tmp_path, script, kind=Tiny, otel_exporter_otlp_endpoint=collector.url, gateway_name="gw", **settings
    )


async def ask(gateway: Served, headers: dict[str, str] | None = None, **body: Any) -> str:
    """Ask, read the whole stream, and return its id."""
    async with gateway.http.stream("POST", STREAM, json={"content": "Hi", **body}, headers=headers) as told:
        assert told.status_code == 200
        assert [event async for event in unified_events(told)]
        return str(told.headers["sluice-stream-id"])


async def test_request_reply_and_dispatch_are_one_trace_below_the_caller(
    tmp_path: Path, collector: Collector
) -> None:
    async with traced(tmp_path, collector, lambda _: COUNTED) as gateway:
        stream_id = await ask(gateway, {"traceparent": CALLER}, model="tiny")
        (asked,) = gateway.transport.seen_requests
    request, reply, hop = (
        collector.named(name) for name in ("POST /messages/stream", "chat tiny", "dispatch sse")
    )
    assert {span.trace for span in (request, reply, hop)} == {CALLER[3:35]}
    assert [request.parent, reply.parent, hop.parent] == [CALLER[36:52], request.id, reply.id]
    assert [request.kind, reply.kind, hop.kind] == ["server", "client", "internal"]
    assert asked.trace == f"{hop.place}-01"
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/messages/stream",
        "http.response.status_code": 200,
        "url.path": "/messages/stream",
    }
    first_s = reply.attributes.pop("gen_ai.response.time_to_first_chunk")
    assert first_s > 0
    session_key = reply.attributes.pop("gen_ai.conversation.id")
    assert session_key == asked.session
    assert reply.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "llama_cpp",
        "gen_ai.request.model": "tiny",
        "gen_ai.response.model": "tiny",
        "gen_ai.response.id": stream_id,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "sluice.dialect": "lam",
        "sluice.mode": "sse",
        "sluice.reason": "stop",
    }
    assert not any(span.failed for span in collector.spans)


@pytest.mark.parametrize("said", [None, "rubbish", f"00-{'0' * 32}-{'0' * 16}-01"])
async def test_without_a_valid_caller_the_request_begins_the_trace(
    tmp_path: Path, collector: Collector, said: str | None
) -> None:
    headers = {} if said is None else {"traceparent": said}
    async with traced(tmp_path, collector, lambda _: COUNTED) as gateway:
        await ask(gateway, headers)
    request, reply = collector.named("POST /messages/stream"), collector.named("chat tiny")
    assert request.parent == ""
    assert reply.parent == request.id


async def test_a_failed_reply_has_its_code_and_not_its_text(tmp_path: Path, collector: Collector) -> None:
    script: list[Step] = [[Delta("Hi")], UpstreamFailed("the prompt was: SECRET QUESTION")]
    async with traced(tmp_path, collector, lambda _: script) as gateway:
        await ask(gateway)
    reply, hop = collector.named("chat"), collector.named("dispatch sse")
    assert (reply.failed, reply.attributes["error.type"]) == (True, "upstream_error")
    assert (hop.failed, hop.attributes["error.type"]) == (True, "upstream_error")
    assert "gen_ai.response.finish_reasons" not in reply.attributes
    assert b"SECRET" not in collector.received


async def test_a_stopped_reply_is_no_failure(tmp_path: Path, collector: Collector) -> None:
    async with (
        traced(tmp_path, collector, lambda _: [[Delta("Hi")]]) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as told,
    ):
        events = unified_events(told)
        while (await anext(events))["type"] != "chunk":
            pass
        stop = f"{STREAM}/{told.headers['sluice-stream-id']}/stop"
        assert (await gateway.http.post(stop)).status_code == 200
        assert [event["type"] async for event in events][-1] == "done"
    reply, hop = collector.named("chat"), collector.named("dispatch sse")
    assert (reply.failed, reply.attributes["sluice.reason"]) == (False, "user_stop")
    assert (hop.failed, hop.attributes["sluice.cancelled"]) == (False, True)


async def test_a_resume_fetches_and_is_linked_to_the_reply(tmp_path: Path, collector: Collector) -> None:
    async with traced(tmp_path, collector, lambda _: COUNTED) as gateway:
        stream_id = await ask(gateway, {"sluice-resumable": "1"}, resumable=True)
        path = f"{STREAM}/{stream_id}"
        await gateway.http.get(path, headers={"last-event-id": "2-2"})
        await gateway.http.head(path)
        wrong = await gateway.http.get(path, headers={"last-event-id": "2-1"})
    assert wrong.status_code in (400, 409, 416, 422), wrong.text
    reply = collector.named("chat tiny")
    fetches = [span for span in collector.spans if span.name == "fetch_response"]
    requests = [span for span in collector.spans if span.name == "GET /messages/stream/{stream_id}"]
    assert [fetch.parent for fetch in fetches] == [request.id for request in requests]
    assert [fetch.links for fetch in fetches] == [[(reply.trace, reply.id)]] * 2
    assert [fetch.failed for fetch in fetches] == [False, True]
    assert fetches[0].trace != reply.trace
    assert fetches[0].attributes == {
        "gen_ai.operation.name": "fetch_response",
        "gen_ai.provider.name": "_OTHER",
        "gen_ai.response.id": stream_id,
        "gen_ai.request.stream_cursor": "2-2",
    }


async def test_each_request_on_a_websocket_has_a_span_below_the_caller(
    tmp_path: Path, collector: Collector
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        begun.set()
        await go.wait()

    script: list[Step] = [[Delta("Hi")], pause, *COUNTED]
    resumable = {"traceparent": CALLER, "Sluice-Resumable": "1"}
    async with traced(tmp_path, collector, lambda _: script) as gateway, page_socket(gateway.url) as page:
        await page.send("r1", headers=resumable)
        await begun.wait()
        await page.resume("r2")
        await page.until("r2", "text-delta")
        go.set()
        await page.heard("r1")
        await page.heard("r2")
        await page.send("r3", messages=[])
        assert (await page.until("r3"))["type"] == "error"
    requests = {span.id: span for span in collector.spans if span.name == "WEBSOCKET /ws"}
    reply, fetch = collector.named("chat tiny"), collector.named("fetch_response")
    sent, resumed = requests.pop(reply.parent), requests.pop(fetch.parent)
    (refused,) = requests.values()
    assert (sent.trace, sent.parent, resumed.parent) == (CALLER[3:35], CALLER[36:52], "")
    assert fetch.links == [(reply.trace, reply.id)]
    statuses = [span.attributes.get("http.response.status_code") for span in (sent, resumed, refused)]
    assert statuses == [None, None, 422]


async def test_a_cached_reply_has_no_tokens_and_no_dispatch(tmp_path: Path, collector: Collector) -> None:
    async with traced(tmp_path, collector, lambda _: COUNTED, cache_ttl_s=60) as gateway:
        for _ in range(2):
            await ask(gateway)
    replies = [span for span in collector.spans if span.name == "chat tiny"]
    providers = [span.attributes["gen_ai.provider.name"] for span in replies]
    counted = [span.attributes.get("gen_ai.usage.output_tokens") for span in replies]
    assert (providers, counted) == (["llama_cpp", "cache"], [3, None])
    assert collector.named("dispatch sse").parent == replies[0].id


async def test_nothing_secret_and_no_text_is_sent(tmp_path: Path, collector: Collector) -> None:
    headers = {"authorization": "Bearer SECRETKEY", "cookie": "a=SECRETCOOKIE", "x-api-key": "SECRETKEY2"}
    async with traced(tmp_path, collector, lambda _: tokens("SECRET", "ANSWER")) as gateway:
        stream_id = await ask(gateway, headers, content="SECRETQUESTION", model="no such model")
        await gateway.http.get(f"{STREAM}/{stream_id}?ticket=SECRETTICKET")
        await gateway.http.get("/v1/SECRETLESS?api_key=SECRETQUERY")
    assert b"SECRET" not in collector.received.replace(b"SECRETLESS", b"")
    reply = collector.named("chat")
    assert reply.attributes["gen_ai.request.model"] == "no such model"
    assert collector.named("GET").attributes["http.response.status_code"] == 404


async def test_embeddings_are_dispatched_below_their_request(tmp_path: Path, collector: Collector) -> None:
    seen: list[str | None] = []

    async def embed(request: EmbedRequest) -> Embeddings:
        seen.append(request.trace)
        if request.inputs == ["bad"]:
            raise NotSupported("SECRET")
        return Embeddings([array("f", [1.0])], "tiny", 1)

    able = ScriptedTransport(lambda _: [], name="sse", abilities=Abilities(embed=embed))
    async with traced(tmp_path, collector, lambda _: [], sse=able) as gateway:
        made = await gateway.http.post("/v1/embeddings", json={"input": "a", "model": "tiny"})
        await gateway.http.post("/v1/embeddings", json={"input": "bad", "model": "tiny"})
    assert made.status_code == 200, made.text
    requests = [span for span in collector.spans if span.name == "POST /v1/embeddings"]
    hops = [span for span in collector.spans if span.name == "dispatch sse"]
    # The span of a request may end after the next request has begun.
    assert {hop.parent for hop in hops} == {request.id for request in requests}
    assert [str(trace)[:52] for trace in seen] == [hop.place for hop in hops]
    assert [hop.attributes.get("error.type") for hop in hops] == [None, "not_supported"]


async def test_a_long_path_is_cut(tmp_path: Path, collector: Collector) -> None:
    async with traced(tmp_path, collector, lambda _: COUNTED) as gateway:
        await gateway.http.get(f"/{'x' * 5000}")
    assert collector.named("GET").attributes["url.path"] == f"/{'x' * (MAX_PATH_CHARS - 1)}"


async def test_monitoring_has_no_spans(tmp_path: Path, collector: Collector) -> None:
    async with traced(tmp_path, collector, lambda _: COUNTED) as gateway:
        for path in ("/health", "/ready", "/metrics", "/", "/api/metrics"):
            await gateway.http.get(path)
        await gateway.http.get("/api/chatbot/sessions")
    assert [span.name for span in collector.spans] == ["GET /api/chatbot/sessions"]


async def test_the_log_line_of_a_reply_has_the_trace(
    tmp_path: Path, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sluice.replies")
    async with traced(tmp_path, collector, lambda _: COUNTED) as gateway:
        await ask(gateway)
    (line,) = [record for record in caplog.records if record.name == "sluice.replies"]
    assert line.__dict__["fields"]["trace"] == collector.named("chat tiny").trace


async def test_the_log_line_has_the_callers_trace_without_a_collector(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sluice.replies")
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        for headers in ({"traceparent": CALLER}, {}):
            await ask(gateway, headers)
    lines = [record.__dict__["fields"] for record in caplog.records if record.name == "sluice.replies"]
    assert [line["trace"] for line in lines] == [CALLER[3:35], None]


async def test_headers_for_the_collector_and_names_of_the_service(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "chat-of-the-house")
    settings = {"otel_exporter_otlp_headers": "authorization=Bearer%20abc,x-tenant=t1"}
    async with traced(tmp_path, collector, lambda _: COUNTED, **settings) as gateway:
        await ask(gateway)
    assert {span.service for span in collector.spans} == {"chat-of-the-house"}
    head = collector.heads[0].lower()
    assert b"\r\nauthorization: bearer abc\r\n" in head
    assert b"\r\nx-tenant: t1\r\n" in head


async def test_the_callers_choice_not_to_sample_holds(tmp_path: Path, collector: Collector) -> None:
    async with traced(tmp_path, collector, lambda _: COUNTED) as gateway:
        await ask(gateway, {"traceparent": CALLER[:-1] + "0"})
        await ask(gateway)
        sampled = [int(str(request.trace)[-2:], 16) & 1 for request in gateway.transport.seen_requests]
    assert sampled == [0, 1]
    assert CALLER[3:35] not in {span.trace for span in collector.spans}


async def test_replies_do_not_need_the_collector(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running_collector() as collector:
        pass  # its port is free now
    async with traced(tmp_path, collector, lambda _: COUNTED) as gateway:
        for _ in range(3):
            await ask(gateway)
    lines = [record.getMessage() for record in caplog.records if record.name == "sluice.traces"]
    assert len(lines) == 1, lines
    assert lines[0].startswith("traces may be missing: ")


async def test_a_collector_that_does_not_answer_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    asked, release = asyncio.Event(), asyncio.Event()
    before = set(threading.enumerate())

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            asked.set()
            await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with asyncio.timeout(60), await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        collector = Collector()
        collector.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with traced(tmp_path, collector, lambda _: COUNTED) as gateway:
            await ask(gateway)
        await asked.wait()
        threads = set(threading.enumerate()) - before
        (sending,) = [thread for thread in threads if thread.name == "last spans"]
        release.set()
        await asyncio.to_thread(sending.join)


def test_the_same_trouble_is_one_line_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    few = FewLines(lambda: now)

    def trouble(name: str, message: str) -> None:
        few.emit(logging.LogRecord(name, logging.WARNING, "", 0, message, None, None))

    for at in (0.0, 1.0, QUIET_S - 1):
        now = at
        trouble("exporter", "away")
    trouble("processor", "full")
    now = QUIET_S
    trouble("exporter", "still away")
    assert [record.getMessage() for record in caplog.records] == [
        "traces may be missing: away",
        "traces may be missing: full (2 similar lines before)",
        "traces may be missing: still away",
    ]
