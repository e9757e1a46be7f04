"""Tokens per day of a key: counted when a reply ends, refused at the limit, told in headers."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, Done, Usage
from gateway.contract.record import replace
from gateway.contract.transport import Abilities
from tests.store.migrated import migrated
from tests.web.embedding_model import embed, embedding_model
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import bearer, keys_of, make_key
from transports.scripted import ScriptedTransport, Step

SESSIONS = "/api/chatbot/sessions"
QUESTION = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
COUNTED: list[Step] = [[Delta("Hi")], [Usage(7, 3, 10), Done("stop", "tiny")]]

# Where one asks, a body that is understood there, and where the error's code is found in the answer.
DIALECTS: dict[str, tuple[dict[str, Any], Callable[[Any], Any], str]] = {
    STREAM: ({"content": "Hi"}, lambda told: told["code"], "token_budget_exceeded"),
    "/api/chatbot/messages": ({"content": "Hi"}, lambda told: told["code"], "token_budget_exceeded"),
    "/api/chat/stream": ({"message": "Hi"}, lambda told: told["code"], "token_budget_exceeded"),
    "/v1/chat/completions": (QUESTION, lambda told: told["error"]["code"], "rate_limit_exceeded"),
    "/v1/messages": ({"model": "x", **QUESTION}, lambda told: told["error"]["type"], "rate_limit_error"),
    "/v1/embeddings": ({"input": "Hi"}, lambda told: told["error"]["code"], "rate_limit_exceeded"),
}


async def ask(gateway: Served, key: str) -> int:
    """Ask, read the whole reply, and return the status."""
    async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}, headers=bearer(key)) as reply:
        async for _ in reply.aiter_raw():
            pass
    return reply.status_code


async def used(gateway: Served) -> list[int]:
    today = datetime.now(UTC).date()
    return [stored.tokens_on(today) for stored in await keys_of(gateway).keys.all()]


async def test_replies_count_until_the_limit_and_the_next_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        key = await make_key(gateway, "anna", tokens_per_day=15)
        other = await make_key(gateway, "anna")
        statuses = [await ask(gateway, key) for _ in range(3)]
        others = await ask(gateway, other)
        refused = await gateway.http.post(STREAM, json={"content": "Hi"}, headers=bearer(key))
        reads = await gateway.http.get(SESSIONS, headers=bearer(key))
        assert await used(gateway) == [20, 10]
    assert (statuses, others) == ([200, 200, 429], 200)
    assert reads.status_code == 200
    assert re.fullmatch(
        r"The key has used its 15 tokens of today: it gets new ones at \d{4}-\d\d-\d\dT00:00:00Z\.",
        refused.json()["detail"],
    )
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400
    assert '"day";q=15;qu="tokens";w=86400' in refused.headers["ratelimit-policy"]
    assert f'"day";r=0;t={refused.headers["retry-after"]}' in refused.headers["ratelimit"]


@pytest.mark.parametrize("path", DIALECTS)
async def test_each_dialect_refuses_in_its_own_words(tmp_path: Path, path: str) -> None:
    body, code_in, expected = DIALECTS[path]
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        key = await make_key(gateway, "anna", tokens_per_day=1)
        assert await ask(gateway, key) == 200
        refused = await gateway.http.post(path, json=body, headers=bearer(key))
    assert (refused.status_code, code_in(refused.json())) == (429, expected)
    assert int(refused.headers["retry-after"]) >= 1
    assert "T00:00:00Z" in refused.text


async def test_embeddings_cost_their_tokens_before_the_client_has_them(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: COUNTED, sse=embedding_model()) as gateway:
        key = bearer(await make_key(gateway, "anna", tokens_per_day=6))
        statuses = [
            (await gateway.http.post("/v1/embeddings", json={"input": "four"}, headers=key)).status_code
            for _ in range(3)
        ]
        assert await used(gateway) == [8]
    assert statuses == [200, 200, 429]


async def test_embeddings_without_a_count_cost_an_estimate(tmp_path: Path) -> None:
    async def uncounted(request: EmbedRequest) -> Embeddings:
        return replace(await embed(request), prompt_tokens=None)

    able = ScriptedTransport(lambda _: [], name="sse", abilities=Abilities(embed=uncounted))
    async with served(tmp_path, lambda _: COUNTED, sse=able) as gateway:
        key = bearer(await make_key(gateway, "anna"))
        body = {"input": ["eight ch", [1, 2, 3]]}
        assert (await gateway.http.post("/v1/embeddings", json=body, headers=key)).status_code == 200
        assert await used(gateway) == [3 + 8 // 4 + 1]


async def test_model_apis_tell_the_tokens_that_are_left(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        key = await make_key(gateway, "anna", tokens_per_day=25)
        await ask(gateway, key)
        openai = await gateway.http.post("/v1/chat/completions", json=QUESTION, headers=bearer(key))
        body = {"model": "x", **QUESTION}
        anthropic = await gateway.http.post("/v1/messages", json=body, headers=bearer(key))
        refused = await gateway.http.post("/v1/messages", json=body, headers=bearer(key))
    assert openai.headers["x-ratelimit-limit-tokens"] == "25"
    assert openai.headers["x-ratelimit-remaining-tokens"] == "5"
    assert anthropic.headers["anthropic-ratelimit-tokens-limit"] == "25"
    assert anthropic.headers["anthropic-ratelimit-tokens-remaining"] == "0"
    reset = datetime.fromisoformat(anthropic.headers["anthropic-ratelimit-tokens-reset"])
    assert reset > datetime.now(UTC)
    assert refused.status_code == 429
    wait_s = int(refused.headers["retry-after"])
    assert refused.headers.get("x-should-retry") == ("false" if wait_s > 60 else None)


async def test_tokens_of_today_are_known_after_a_restart(tmp_path: Path) -> None:
    database = migrated(tmp_path / "gateway.db")
    async with served(tmp_path, lambda _: COUNTED, database_url=database) as gateway:
        key = await make_key(gateway, "anna", tokens_per_day=10)
        assert await ask(gateway, key) == 200
    async with served(tmp_path, lambda _: COUNTED, database_url=database) as gateway:
        assert await ask(gateway, key) == 429
        assert await used(gateway) == [10]


async def test_a_limit_that_is_set_later_counts_what_was_used_before(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        admin = bearer(await make_key(gateway, "ops", frozenset({"admin"})))
        key = await make_key(gateway, "anna")
        assert await ask(gateway, key) == 200
        await gateway.http.patch("/api/admin/keys/2", json={"tokens_per_day": 10}, headers=admin)
        assert await ask(gateway, key) == 429
        listed = (await gateway.http.get("/api/admin/keys", headers=admin)).json()[1]
        metrics = (await gateway.http.get("/metrics", headers=admin)).text
        await gateway.http.patch("/api/admin/keys/2", json={"tokens_per_day": None}, headers=admin)
        assert await ask(gateway, key) == 200
    assert (listed["tokens_today"], listed["tokens_per_day"]) == (10, 10)
    assert 'sluice_key_tokens_today{key="2"} 10.0' in metrics
    assert 'sluice_key_tokens_per_day{key="2"} 10.0' in metrics
    assert 'sluice_refused_requests_total{limit="tokens",user_class="key"} 1.0' in metrics


async def test_a_stopped_reply_counts_by_its_length(tmp_path: Path) -> None:
    never = asyncio.Event()
    async with served(tmp_path, lambda _: [[Delta("x" * 98)], never.wait, [Done("stop")]]) as gateway:
        key = await make_key(gateway, "anna", tokens_per_day=1000)
        async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}, headers=bearer(key)) as reply:
            events = unified_events(reply)
            assert [(await anext(events))["type"] for _ in range(2)] == ["metadata", "chunk"]
            await gateway.http.post(f"{STREAM}/{reply.headers['sluice-stream-id']}/stop", headers=bearer(key))
            assert [event["type"] async for event in events] == ["done"]
        assert await used(gateway) == [26]


async def test_a_failed_reply_counts_what_was_generated(tmp_path: Path) -> None:
    steps: list[Step] = [[Delta("x" * 38)], [Usage(5, 9, 14)], UpstreamFailed("broke")]
    nothing: list[Step] = [UpstreamFailed("refused")]
    scripts = iter([steps, nothing])
    async with served(tmp_path, lambda _: next(scripts)) as gateway:
        key = await make_key(gateway, "anna", tokens_per_day=1000)
        await ask(gateway, key)
        await ask(gateway, key)
        assert await used(gateway) == [14]


async def test_a_rehearsal_of_a_template_counts_too(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        key = bearer(await make_key(gateway, "anna", tokens_per_day=10))
        made = await gateway.http.post(
            "/api/chatbot/templates", json={"name": "T", "system_prompt": "Be kind."}, headers=key
        )
        url = f"/api/chatbot/templates/{made.json()['id']}/test"
        first = await gateway.http.post(url, json={"content": "Hi"}, headers=key)
        second = await gateway.http.post(url, json={"content": "Hi"}, headers=key)
        assert await used(gateway) == [10]
    assert (first.status_code, second.status_code) == (200, 429)


async def test_a_continued_reply_costs_only_its_new_part(tmp_path: Path) -> None:
    cut: list[Step] = [[Delta("Once ")], [Usage(3, 2, 5), Done("length", "tiny")]]
    rest: list[Step] = [[Delta("upon")], [Usage(5, 2, 7), Done("stop", "tiny")]]
    scripts = iter([cut, rest])
    async with served(tmp_path, lambda _: next(scripts)) as gateway:
        key = await make_key(gateway, "anna", tokens_per_day=12)
        await ask(gateway, key)
        assert await used(gateway) == [5]
        more = await gateway.http.post("/api/chatbot/messages/2/continue", json={}, headers=bearer(key))
        assert more.status_code == 200
        assert await used(gateway) == [12]
        again = await gateway.http.post("/api/chatbot/messages/2/regenerate", json={}, headers=bearer(key))
        assert again.status_code == 429
