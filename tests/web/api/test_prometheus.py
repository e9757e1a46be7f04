"""`GET /metrics`: every reply counts once, and the gateway's state is as it is."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.contract.errors import StorageFailed, UpstreamFailed
from gateway.contract.events import Delta, Done, Progress, Usage
from gateway.contract.transport import Abilities, Health, WorkerInfo
from tests.store.faults import locked
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import CHAT, bearer, make_key
from transports.scripted import ScriptedTransport, Step, tokens, whole

COUNTED: list[Step] = [
    [Progress("queued", position=1)],
    [Delta("Hi")],
    [Delta(" there")],
    [Delta("!"), Usage(7, 3, 10, 50.0), Done("stop", "tiny")],
]
Labels = dict[str, str]
DURATION = "gen_ai_client_inference_duration_seconds"
FIRST_CHUNK = "gen_ai_client_inference_time_to_first_chunk_seconds"
OUTPUT_CHUNK = "gen_ai_client_inference_time_per_output_chunk_seconds"
OUTPUT_TOKENS = "gen_ai_client_inference_usage_output_tokens_total"


class Scrape:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self._samples = [sample for family in families for sample in family.samples]

    def of(self, name: str) -> list[tuple[Labels, float]]:
        return [(dict(sample.labels), sample.value) for sample in self._samples if sample.name == name]

    def sum(self, name: str) -> float:
        return sum(value for _, value in self.of(name))


async def scrape(gateway: Served, headers: Labels | None = None) -> Scrape:
    answer = await gateway.http.get("/metrics", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
    )
    return Scrape(answer.text)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        yield gateway


async def test_a_reply_counts_by_reason_mode_dialect_and_transport(gateway: Served) -> None:
    for _ in range(2):
        await gateway.events({"content": "Hi"})
    told = await scrape(gateway)
    labels = {"reason": "stop", "mode": "sse", "dialect": "lam", "transport": "sse"}
    assert told.of("sluice_replies_total") == [(labels, 2)]


async def test_a_reply_of_tokens_has_timings_and_tokens(gateway: Served) -> None:
    await gateway.events({"content": "Hi", "model": "no such model"})
    told = await scrape(gateway)
    operation = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "llama_cpp",
        "gen_ai_request_model": "_OTHER",
    }
    assert told.of(f"{DURATION}_count") == [({**operation, "error_type": ""}, 1)]
    assert told.of(f"{FIRST_CHUNK}_count") == [(operation, 1)]
    assert told.of(f"{OUTPUT_CHUNK}_count") == [(operation, 2)]
    assert told.of(OUTPUT_TOKENS) == [({**operation, "gen_ai_token_modality": "unknown"}, 3)]
    assert told.of("gen_ai_client_token_usage_count") == []


async def test_the_older_names_stand_beside_the_newest_if_asked_for(tmp_path: Path) -> None:
    opt_in = "http, gen_ai/dup"
    async with served(tmp_path, lambda _: COUNTED, otel_semconv_stability_opt_in=opt_in) as gateway:
        await gateway.events({"content": "Hi"})
        told = await scrape(gateway)
    assert told.sum(f"{DURATION}_count") == told.sum("gen_ai_client_operation_duration_seconds_count") == 1
    sizes = told.of("gen_ai_client_token_usage_sum")
    assert {labels["gen_ai_token_type"]: value for labels, value in sizes} == {"input": 7, "output": 3}


async def test_a_resumed_reply_counts_no_tokens_again(gateway: Served) -> None:
    async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as reply:
        stream_id = reply.headers["sluice-stream-id"]
        assert [event["type"] async for event in unified_events(reply)][-1] == "done"
    before = await scrape(gateway)
    for _ in range(3):
        headers = {"last-event-id": "1-0"}
        assert (await gateway.http.get(f"{STREAM}/{stream_id}", headers=headers)).status_code == 200
    after = await scrape(gateway)
    for name in (OUTPUT_TOKENS, f"{DURATION}_count", f"{OUTPUT_CHUNK}_count", "sluice_replies_total"):
        assert after.of(name) == before.of(name)
    assert (before.sum("sluice_resumes_total"), after.sum("sluice_resumes_total")) == (0, 3)


async def test_a_paced_reply_has_a_duration_without_its_pauses_and_no_token_timings(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: whole("abcd"), chunk_size=1, chunk_delay_s=0.1) as gateway:
        began = time.monotonic()
        await gateway.events({"content": "Hi"})
        took_s = time.monotonic() - began
        told = await scrape(gateway)
    assert told.sum(f"{DURATION}_count") == 1
    assert took_s - told.sum(f"{DURATION}_sum") > 0.25  # three pauses of 0.1 s are beside it
    assert told.sum(f"{FIRST_CHUNK}_count") == told.sum(f"{OUTPUT_CHUNK}_count") == 0


async def test_a_cached_reply_counts_no_tokens_again(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: COUNTED, cache_ttl_s=60) as gateway:
        for _ in range(2):
            await gateway.events({"content": "Hi"})
        told = await scrape(gateway)
    assert told.sum(OUTPUT_TOKENS) == 3
    assert told.sum(f"{DURATION}_count") == 1
    transports = [labels["transport"] for labels, _ in told.of("sluice_replies_total")]
    assert sorted(transports) == ["cache", "sse"]


async def test_a_failed_reply_has_its_reason_and_error(tmp_path: Path) -> None:
    script: list[Step] = [[Delta("Hi")], UpstreamFailed("broken")]
    async with served(tmp_path, lambda _: script) as gateway:
        await gateway.events({"content": "Hi"})
        told = await scrape(gateway)
    assert [labels["reason"] for labels, _ in told.of("sluice_replies_total")] == ["upstream_error"]
    assert [labels["error_type"] for labels, _ in told.of(f"{DURATION}_count")] == ["upstream_error"]


async def test_open_streams_and_readers_show_and_a_lost_client_counts(tmp_path: Path) -> None:
    held = asyncio.Event()
    script: list[Step] = [[Delta("Hi")], held.wait, [Done("stop")]]
    async with served(tmp_path, lambda _: script) as gateway:
        async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as reply:
            events = unified_events(reply)
            await anext(events)
            told = await scrape(gateway)
            (run,) = gateway.assembled.gateway.runs.all()
        await run.ended.wait()  # the only reader has left
        after = await scrape(gateway)
    for name in ("sluice_running_replies", "sluice_open_streams", "sluice_reply_readers"):
        assert told.sum(name) == 1
    assert told.sum("sluice_journal_bytes") > 0
    assert (told.sum("sluice_readers_lost_total"), after.sum("sluice_readers_lost_total")) == (0, 1)
    assert [labels["reason"] for labels, _ in after.of("sluice_replies_total")] == ["abandoned"]


async def test_requests_over_a_limit_count_by_limit_and_class(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), rate_per_minute=1) as gateway:
        monitor = bearer(await make_key(gateway, "ops", frozenset({"metrics"}), rate_per_minute=100))
        shared = bearer(await make_key(gateway, "anna"))
        own = bearer(await make_key(gateway, "ben", CHAT, rate_per_minute=1))
        for headers in (shared, own, own):
            for _ in range(2):
                await gateway.http.get("/api/chatbot/sessions", headers=headers)
        told = await scrape(gateway, monitor)
    refused = {
        (labels["limit"], labels["user_class"]): count
        for labels, count in told.of("sluice_refused_requests_total")
    }
    assert refused == {
        ("requests", "user"): 1,
        ("requests", "key"): 3,
        ("streams", "user"): 0,
        ("streams", "key"): 0,
        ("tokens", "user"): 0,
        ("tokens", "key"): 0,
    }


async def test_workers_count_by_state_and_the_queue_has_its_length(tmp_path: Path) -> None:
    worker = WorkerInfo("w", "ready", ("tiny",), True, 2, 1, 1, 1, 10.0, 0.1, False, False, False)
    workers = [
        worker,
        WorkerInfo("f", "ready", ("tiny",), True, 2, 2, 2, 1, 10.0, 0.1, False, False, False),
        WorkerInfo("s", "ready", ("tiny",), True, 2, 0, 0, 1, 10.0, 0.1, True, False, False),
        WorkerInfo("d", "draining", ("tiny",), True, 2, 0, 0, 1, 10.0, 0.1, True, False, False),
    ]
    abilities = Abilities(workers=lambda: workers, queued=lambda: 5, models=lambda: ("tiny",))
    mqtt = ScriptedTransport(lambda _: COUNTED, name="mqtt", abilities=abilities)
    async with served(tmp_path, lambda _: COUNTED, mqtt=mqtt, llm_comm_mode="auto") as gateway:
        gateway.assembled.modes.mode = "mqtt"
        await gateway.events({"content": "Hi", "model": "tiny"})
        gateway.assembled.modes.mode = "auto"
        told = await scrape(gateway)
    states = {labels["state"]: count for labels, count in told.of("sluice_workers")}
    assert states == {"ready": 1, "full": 1, "set_aside": 1, "draining": 1, "disabled": 0}
    assert (told.sum("sluice_queued_requests"), told.sum("sluice_worker_requests")) == (5, 3)
    (labels, _) = told.of(OUTPUT_TOKENS)[0]
    assert (labels["gen_ai_provider_name"], labels["gen_ai_request_model"]) == ("sluice_mqtt", "tiny")
    closed = [labels for labels, value in told.of("sluice_breaker_state") if value]
    assert closed == [{"transport": name, "state": "closed"} for name in ("sse", "mqtt")]
    assert told.of("sluice_mode_ready") == [({"mode": "auto"}, 1)]


async def test_the_database_has_its_size_and_the_wait_for_its_commits(gateway: Served) -> None:
    await gateway.events({"content": "Hi"})
    told = await scrape(gateway)
    assert told.sum("sluice_database_bytes") > 0
    assert told.sum("sluice_database_writable") == 1
    assert told.sum("sluice_database_write_wait_seconds_count") >= 2
    assert told.sum("sluice_database_write_wait_seconds_sum") > 0


async def test_a_scrape_succeeds_without_database_and_model_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> int:
        raise StorageFailed("The database does not answer.")

    async def silent() -> Health:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("gateway.web.api.prometheus.WAIT_S", 0)
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        monkeypatch.setattr(gateway.assembled.gateway.usage, "database_bytes", refuse)
        monkeypatch.setattr(gateway.transport, "health", silent)
        told = await scrape(gateway)
    assert told.of("sluice_database_bytes") == []
    assert told.of("sluice_mode_ready") == [({"mode": "sse"}, 0)]


async def test_the_database_that_takes_no_changes_shows_in_a_scrape_with_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but the scrape uses the gateway, and its key cannot be read again."""
    monkeypatch.setattr("gateway.core.key_ring.MAX_AGE_S", -1.0)
    monkeypatch.setattr("gateway.store.probe.FRESH_S", 0.0)
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        monitor = bearer(await make_key(gateway, "ops", frozenset({"metrics"})))
        before = await scrape(gateway, monitor)
        with locked(tmp_path / "gateway.db"):
            during = await scrape(gateway, monitor)
            unknown = await gateway.http.get("/metrics", headers=bearer("sk-unknown"))
        after = await scrape(gateway, monitor)
    assert [told.sum("sluice_database_writable") for told in (before, during, after)] == [1, 0, 1]
    assert unknown.status_code == 401
