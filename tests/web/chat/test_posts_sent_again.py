"""A POST sent again with Idempotency-Key and Last-Event-ID reads on: on every endpoint, in every dialect."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.events import Delta, Done, ToolCall
from tests.contract.rig_dialects import RESUMING_RIGS, DialectRig
from tests.dialects.order.frames import frames_of
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import Step, tokens

COMPLETION = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
ENDPOINTS: dict[str, dict[str, Any]] = {
    STREAM: {"content": "Hi"},
    "/api/chatbot/messages/stream": {"content": "Hi"},
    "/api/chat/stream": {"message": "Hi"},
    "/api/v1/chat/unified/stream": {"message": "Hi", "user_id": "ann"},
    "/api/v1/inference/stream": COMPLETION,
    "/v1/chat/completions": COMPLETION,
}
KEY = {"idempotency-key": "once"}

WORDS = next(rig for rig in RESUMING_RIGS if rig.name == "words")

endpoints = pytest.mark.parametrize("path", ENDPOINTS)
everywhere = pytest.mark.parametrize(
    ("path", "rig"),
    [*((STREAM, rig) for rig in RESUMING_RIGS), *((path, WORDS) for path in ENDPOINTS if path != STREAM)],
    ids=lambda case: case if isinstance(case, str) else case.name,
)


async def post(gateway: Served, path: str, after: str | None = None, query: str = "") -> httpx.Response:
    headers = KEY if after is None else {**KEY, "last-event-id": after}
    return await gateway.http.post(f"{path}{query}", json=ENDPOINTS[path], headers=headers)


@everywhere
async def test_it_reads_on_while_the_reply_runs(tmp_path: Path, path: str, rig: DialectRig) -> None:
    read_on = asyncio.Event()
    script: list[Step] = [[Delta("Hel")], read_on.wait, [Delta("lo")], [Done("stop")]]
    query = f"?format={rig.name}"
    async with served(tmp_path, lambda _: script) as gateway:
        async with gateway.http.stream(
            "POST", f"{path}{query}", json=ENDPOINTS[path], headers=KEY
        ) as response:
            received = b""
            async for chunk in response.aiter_raw():
                received += chunk
                if b"Hel" in received:
                    break
        again = asyncio.ensure_future(post(gateway, path, frames_of(received)[-1].id, query))
        read_on.set()
        rest = await again
        end = await post(gateway, path, frames_of(rest.content)[-1].id, query)
        (reply,) = [m for m in await gateway.messages() if m["role"] == "assistant"]
        assert len(gateway.transport.seen_requests) == 1
    assert rest.status_code == 200
    assert rig.hear(received + rest.content).text == reply["content"] == "Hello"
    assert (end.status_code, end.content) == (204, b"")


@everywhere
@pytest.mark.parametrize("journal_ttl_s", [600, 0], ids=["from the journal", "from the database"])
async def test_it_reads_on_when_the_reply_has_ended(
    tmp_path: Path, path: str, rig: DialectRig, journal_ttl_s: int
) -> None:
    query = f"?format={rig.name}"
    async with served(tmp_path, lambda _: tokens("Hel", "lo"), journal_ttl_s=journal_ttl_s) as gateway:
        first = await post(gateway, path, query=query)
        heard, found, _ = first.content.partition(b"id: 2-3\n\n")
        rest = await post(gateway, path, "2-3", query)
        end = await post(gateway, path, frames_of(first.content)[-1].id, query)
        assert len(gateway.transport.seen_requests) == 1
    assert rig.hear(heard + found + rest.content).text == "Hello"
    assert (end.status_code, end.content) == (204, b"")


@endpoints
async def test_it_reads_on_after_a_restart(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hel", "lo")) as gateway:
        first = await post(gateway, path, query="?format=words")
    async with served(tmp_path, lambda _: tokens("other")) as gateway:
        rest = await post(gateway, path, "2-3", "?format=words")
        end = await post(gateway, path, frames_of(first.content)[-1].id)
        assert gateway.transport.seen_requests == []
    assert rest.text.startswith('data: "lo"\nid: 2-5\n\n')
    assert end.status_code == 204


@endpoints
@pytest.mark.parametrize("event_id", ["x", "1-", "99-0"])
async def test_a_wrong_event_id_is_refused_as_for_get(tmp_path: Path, path: str, event_id: str) -> None:
    never = asyncio.Event()
    async with (
        served(tmp_path, lambda _: [[Delta("on ")], never.wait]) as gateway,
        gateway.http.stream("POST", path, json=ENDPOINTS[path], headers=KEY) as response,
    ):
        await anext(response.aiter_raw())
        refused = await post(gateway, path, event_id)
    assert refused.status_code == 400
    assert code_of(refused) == "bad_event_id"


@endpoints
async def test_a_malformed_event_id_of_a_new_key_starts_nothing(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        refused = await post(gateway, path, "x")
        unknown = await post(gateway, path, "2-3")
        sessions = (await gateway.http.get("/api/chatbot/sessions?all=1")).json()
        assert gateway.transport.seen_requests == []
        accepted = await post(gateway, path)
    assert [(answer.status_code, code_of(answer)) for answer in (refused, unknown)] == [
        (400, "bad_event_id")
    ] * 2
    assert "without Last-Event-ID" in unknown.text
    assert sessions == []
    assert accepted.status_code == 200


@endpoints
async def test_an_event_id_without_a_key_is_refused_and_starts_nothing(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        refused = await gateway.http.post(path, json=ENDPOINTS[path], headers={"last-event-id": "2-3"})
        assert gateway.transport.seen_requests == []
    assert (refused.status_code, code_of(refused)) == (400, "bad_event_id")
    assert "Idempotency-Key" in refused.text


async def test_the_same_key_with_another_body_is_a_conflict_behind_an_event_too(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        await post(gateway, STREAM)
        headers = {**KEY, "last-event-id": "1-0"}
        refused = await gateway.http.post(STREAM, json={"content": "Ho"}, headers=headers)
    assert refused.status_code == 409


@endpoints
async def test_an_empty_event_id_reads_from_the_beginning(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hel", "lo")) as gateway:
        first = await post(gateway, path, "")
        again = await post(gateway, path, "")
        assert len(gateway.transport.seen_requests) == 1
    ids = [[frame.id for frame in frames_of(answer.content)] for answer in (first, again)]
    assert ids[0] == ids[1]


def code_of(response: httpx.Response) -> str:
    told = response.json()
    code: str = told["error"]["code"] if isinstance(told.get("error"), dict) else told["code"]
    return code


@pytest.mark.parametrize("journal_ttl_s", [600, 0], ids=["from the journal", "from the database"])
async def test_what_a_dialect_has_no_word_for_is_nothing_left(tmp_path: Path, journal_ttl_s: int) -> None:
    """eventsource-client forgets a frame that is only an id, and would come back to it for ever."""
    async with served(tmp_path, lambda _: tokens("Hel", "lo"), journal_ttl_s=journal_ttl_s) as gateway:
        first = await post(gateway, "/api/v1/chat/unified/stream")
        last_text = frames_of(first.content)[-2].id
        end = await post(gateway, "/api/v1/chat/unified/stream", last_text)
    assert (end.status_code, end.content) == (204, b"")


@pytest.mark.parametrize("journal_ttl_s", [600, 0], ids=["from the journal", "from the database"])
async def test_tool_calls_keep_their_numbers(tmp_path: Path, journal_ttl_s: int) -> None:
    steps: list[Step] = [
        [Delta("x")],
        [ToolCall("a", "f", "{}")],
        [ToolCall("b", "g", "{}")],
        [Done("tool_calls")],
    ]
    path = "/v1/chat/completions"
    async with served(tmp_path, lambda _: steps, journal_ttl_s=journal_ttl_s) as gateway:
        first = frames_of((await post(gateway, path)).content)
        rest = frames_of((await post(gateway, path, "3-1")).content)
        got = await gateway.http.get(
            f"{STREAM}/{(await post(gateway, path)).headers['sluice-stream-id']}?format=openai",
            headers={"last-event-id": "3-1"},
        )
    indexes = [
        re.findall(r'"index":(\d+),"id":"b"', str(frames)) for frames in (first, rest, frames_of(got.content))
    ]
    assert indexes == [["1"]] * 3
