"""Cached replies over HTTP: every form of asking, resuming, and what is counted."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.events import Delta, Done, Usage
from gateway.contract.requests import ChatRequest
from tests.web.gateway_server import STREAM, Served, served, unified_events
from transports.scripted import Step

MESSAGES = "/api/chatbot/messages"
COMPLETIONS = "/v1/chat/completions"


def counted(_: ChatRequest) -> Iterable[Step]:
    return [[Delta("one ")], [Delta("two")], [Usage(3, 2, 5, 80.0), Done("stop", "tiny")]]


async def ask(gateway: Served, content: str = "Hi", **headers: str) -> list[dict[str, Any]]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with gateway.http.stream("POST", STREAM, json={"content": content}, headers=sent) as response:
        assert response.status_code == 200
        return [event async for event in unified_events(response)]


async def test_a_stream_of_a_cached_reply_says_so_and_is_one_chunk(tmp_path: Path) -> None:
    async with served(tmp_path, counted, cache_ttl_s=60) as gateway:
        first = await ask(gateway)
        metadata, *chunks, done = await ask(gateway)
        (_, row) = await gateway.messages(metadata["session_id"])
    assert [first[0]["delivery"], first[-1]["delivery"]] == ["token", "token"]
    assert (metadata["mode"], metadata["delivery"]) == ("sse", "cached")
    assert [(chunk["type"], chunk["content"]) for chunk in chunks] == [("chunk", "one two")]
    assert (done["type"], done["reason"], done["delivery"]) == ("done", "stop", "cached")
    assert (done["full_content"], done["model"]) == ("one two", "tiny")
    assert {name: done["usage"][name] for name in ("prompt_tokens", "completion_tokens")} == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
    }
    assert "ttft_ms" in done
    assert "tokens_per_s" not in done
    assert (row["content"], row["delivery"], row["status"]) == ("one two", "cached", "complete")


async def test_whole_answers_and_other_forms_share_it(tmp_path: Path) -> None:
    async with served(tmp_path, counted, cache_ttl_s=60) as gateway:
        await ask(gateway)
        message = (await gateway.http.post(MESSAGES, json={"content": "Hi"})).json()["assistant_message"]
        messages = [{"role": "user", "content": "Hi"}]
        whole = (await gateway.http.post(COMPLETIONS, json={"messages": messages})).json()
        stream = await gateway.http.post(COMPLETIONS, json={"messages": messages, "stream": True})
        asked = len(gateway.transport.seen_requests)
    assert (message["content"], message["delivery"]) == ("one two", "cached")
    assert whole["choices"][0]["message"]["content"] == "one two"
    assert whole["usage"]["total_tokens"] == 5
    assert '"content":"one two"' in stream.text
    assert stream.text.rstrip().endswith("data: [DONE]")
    assert asked == 1


@pytest.mark.parametrize(
    ("said", "again"),
    [("no-cache", "cached"), ("No-Cache, foo=1", "cached"), ("max-age=0", "cached"), ("no-store", "cached")],
)
async def test_cache_control_passes_it_by(tmp_path: Path, said: str, again: str) -> None:
    async with served(tmp_path, counted, cache_ttl_s=60) as gateway:
        await ask(gateway)
        assert (await ask(gateway, cache_control=said))[0]["delivery"] == "token"
        assert (await ask(gateway))[0]["delivery"] == again
        assert len(gateway.transport.seen_requests) == 2


async def test_no_store_keeps_nothing_and_rubbish_is_ignored(tmp_path: Path) -> None:
    async with served(tmp_path, counted, cache_ttl_s=60) as gateway:
        await ask(gateway, cache_control="no-store")
        assert (await ask(gateway, cache_control=",,;= max-age=x"))[0]["delivery"] == "token"
        assert (await ask(gateway, cache_control=",,;="))[0]["delivery"] == "cached"


async def test_a_resumable_cached_reply_is_resumed_and_asked_again_as_any_other(tmp_path: Path) -> None:
    async with served(tmp_path, counted, cache_ttl_s=60) as gateway:
        await ask(gateway)
        first = await ask(gateway, idempotency_key="k")
        again = await ask(gateway, idempotency_key="k")
        stream = f"{STREAM}/{first[0]['stream_id']}"
        resumed = await gateway.http.get(stream, headers={"last-event-id": "2-7"})
        over = await gateway.http.get(stream, headers={"last-event-id": "3-7"})
    assert [event["type"] for event in first] == ["metadata", "chunk", "done"]
    assert again == first
    assert '"done"' in resumed.text
    assert '"chunk"' not in resumed.text
    assert over.status_code == 204


async def test_its_tokens_are_counted_once_and_its_times_not_at_all(tmp_path: Path) -> None:
    async with served(tmp_path, counted, cache_ttl_s=60) as gateway:
        await ask(gateway)
        before = (await gateway.http.get("/api/metrics")).json()["stats"]
        for _ in range(3):
            await ask(gateway)
        usage = (await gateway.http.get("/api/chatbot/usage")).json()
        after = (await gateway.http.get("/api/metrics")).json()["stats"]
    (day,) = usage
    assert (day["replies"], day["prompt_tokens"], day["completion_tokens"]) == (4, 3, 2)
    assert after["messagestoday"] == 8
    for mean in ("avgResponseMs", "ttftMs", "tokensPerSecond"):
        assert after[mean] == before[mean]


@pytest.mark.parametrize("settings", [{}, {"cache_ttl_s": 60, "stages": ""}], ids=["off", "left out"])
async def test_without_the_setting_or_the_stage_nothing_is_cached(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    async with served(tmp_path, counted, **settings) as gateway:
        await ask(gateway)
        assert (await ask(gateway))[0]["delivery"] == "token"


async def test_many_at_once_are_all_answered_from_it(tmp_path: Path) -> None:
    async with served(tmp_path, counted, cache_ttl_s=60) as gateway:
        await ask(gateway)
        replies = await asyncio.gather(*(ask(gateway) for _ in range(20)))
        assert len(gateway.transport.seen_requests) == 1
    assert {reply[-1]["delivery"] for reply in replies} == {"cached"}
