"""Refusals where frontends never look at the status: the dialect's own frame, and the status all the same."""

import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.errors import NoWorker, Unauthorized
from gateway.contract.transport import Abilities, TransportInfo
from tests.contract.rig_dialects import DIALECT_RIGS, DialectRig
from tests.dialects.order.frames import frames_of
from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import make_key
from transports.scripted import ScriptedTransport, tokens

CHATBOT = "/api/chatbot/messages/stream"
WORDS = "/api/v1/chat/unified/stream"
STATUSLESS: dict[str, dict[str, Any]] = {
    STREAM: {"content": "Hi"},
    CHATBOT: {"content": "Hi"},
    WORDS: {"message": "Hi"},
}
JSON = {"content-type": "application/json"}
ANYTHING = {"accept": "*/*"}

paths = pytest.mark.parametrize("path", STATUSLESS)


@asynccontextmanager
async def frontend_of(tmp_path: Path, **settings: Any) -> AsyncIterator[Served]:
    """A gateway, asked as fetch and curl do: anything is accepted."""
    async with served(tmp_path, lambda _: tokens("Hello"), **settings) as gateway:
        gateway.http.headers["accept"] = "*/*"
        yield gateway


def code_in(response: httpx.Response) -> str:
    """The code in the one frame of the answer; anything but a frame fails."""
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8", response.text
    assert int(response.headers["content-length"]) == len(response.content)
    (frame,) = frames_of(response.content)
    told = json.loads(frame.data or "")
    if isinstance(told, str):
        found = re.fullmatch(r"Error: .+ \((\w+)\)", told, re.DOTALL)
        assert found is not None, told
        return found[1]
    assert (told["type"], told["status"]) == ("error", response.status_code)
    assert told["message"]
    return str(told["code"])


@paths
@pytest.mark.parametrize(
    ("status", "code", "request_of"),
    [
        (400, "bad_request", {"content": b"{", "headers": JSON}),
        (400, "bad_request", {"content": b"[" * 100_000, "headers": JSON}),
        (422, "invalid", {"json": {"other": 1}}),
        (415, "unsupported_media_type", {"content": b"x", "headers": {"content-type": "text/plain"}}),
        (415, "unsupported_encoding", {"content": b"x", "headers": {**JSON, "content-encoding": "br"}}),
        (400, "bad_request", {"content": b"x", "headers": {**JSON, "content-encoding": "gzip"}}),
        (
            413,
            "too_large",
            {"content": gzip.compress(b" " * 34_000_000), "headers": {**JSON, "content-encoding": "gzip"}},
        ),
        (413, "too_large", {"content": b" " * 34_000_000, "headers": JSON}),
        (403, "forbidden", {"json": {}, "headers": {"origin": "https://elsewhere.example"}}),
        (400, "bad_event_id", {"json": None, "headers": {"last-event-id": "1-0"}}),
        (400, "bad_request", {"json": None, "headers": {"idempotency-key": "k" * 300}}),
    ],
)
async def test_what_is_wrong_with_a_request(
    tmp_path: Path, path: str, status: int, code: str, request_of: dict[str, Any]
) -> None:
    if request_of.get("json", 0) is None:
        request_of = {**request_of, "json": STATUSLESS[path]}
    async with frontend_of(tmp_path) as gateway:
        refused = await gateway.http.post(path, **request_of)
        as_problem = await gateway.http.post(
            path, **{**request_of, "headers": {**request_of.get("headers", {}), "accept": "application/json"}}
        )
    assert (refused.status_code, code_in(refused)) == (status, code)
    assert as_problem.status_code == status
    assert as_problem.headers["content-type"] == "application/problem+json"
    assert as_problem.json()["code"] == code


@paths
async def test_who_may_not_come_in(tmp_path: Path, path: str) -> None:
    async with frontend_of(tmp_path) as gateway:
        metrics = await make_key(gateway, "anna", frozenset({"metrics"}))
        once = await make_key(gateway, "ben", rate_per_minute=1)
        nobody = await gateway.http.post(path, json=STATUSLESS[path])
        wrong = await gateway.http.post(path, json=STATUSLESS[path], headers={"x-api-key": metrics})
        _, often = [
            await gateway.http.post(path, json=STATUSLESS[path], headers={"x-api-key": once})
            for _ in range(2)
        ]
    assert (nobody.status_code, code_in(nobody)) == (401, Unauthorized.code)
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert (wrong.status_code, code_in(wrong)) == (403, "forbidden")
    assert (often.status_code, code_in(often)) == (429, "rate_limited")
    assert int(often.headers["retry-after"]) > 0


class NobodyThere(ScriptedTransport):
    @property
    def abilities(self) -> Abilities:
        return Abilities(admit=self.admit)

    def admit(self, model: str | None) -> TransportInfo:
        raise NoWorker("No worker is ready.")


@paths
async def test_when_nobody_can_answer(tmp_path: Path, path: str) -> None:
    async with frontend_of(tmp_path, kind=NobodyThere) as gateway:
        refused = await gateway.http.post(path, json=STATUSLESS[path])
    assert (refused.status_code, code_in(refused)) == (503, "no_worker")
    assert refused.headers["retry-after"] == "2"


@paths
async def test_while_it_drains(tmp_path: Path, path: str) -> None:
    async with frontend_of(tmp_path) as gateway:
        gateway.assembled.gateway.runs.draining = True
        refused = await gateway.http.post(path, json=STATUSLESS[path])
    assert (refused.status_code, code_in(refused)) == (503, "draining")


@paths
async def test_another_method(tmp_path: Path, path: str) -> None:
    async with frontend_of(tmp_path) as gateway:
        refused = await gateway.http.get(path)
    assert (refused.status_code, code_in(refused)) == (405, "method_not_allowed")
    assert refused.headers["allow"] == "POST"


@pytest.mark.parametrize("path", [STREAM, CHATBOT])
async def test_below_the_lam_endpoints_a_stream_is_refused_as_a_stream(tmp_path: Path, path: str) -> None:
    one = f"{path}/{'0' * 32}"
    async with frontend_of(tmp_path) as gateway:
        unknown = await gateway.http.get(one)
        malformed = await gateway.http.get(one, headers={"last-event-id": "x"})
        forged = await gateway.http.get(f"{one}?ticket=x")
        headed = await gateway.http.head(one)
        stopped = await gateway.http.post(f"{one}/stop")
        deleted = await gateway.http.delete(one)
    assert (unknown.status_code, code_in(unknown)) == (404, "not_found")
    assert (malformed.status_code, code_in(malformed)) == (400, "bad_event_id")
    assert (forged.status_code, code_in(forged)) == (403, "bad_ticket")
    assert (headed.status_code, headed.headers["content-type"]) == (404, unknown.headers["content-type"])
    # These answer JSON, and so do their refusals.
    assert {stopped.json()["code"], deleted.json()["code"]} == {"not_found"}


async def test_a_templates_test_is_refused_as_a_stream(tmp_path: Path) -> None:
    async with frontend_of(tmp_path) as gateway:
        refused = await gateway.http.post("/api/chatbot/templates/9/test", json={"content": "Hi"})
    assert (refused.status_code, code_in(refused)) == (404, "not_found")


MESSAGE = "The request does not fit: content: must not be empty."
FRAMES = {
    "lam": f'data: {{"type":"error","message":"{MESSAGE}","code":"invalid","status":422,'
    '"retryable":false}\n\n',
    "words": f'data: "Error: {MESSAGE} (invalid)"\n\n',
    "text": f'data: {{"text":"Error: {MESSAGE} (invalid)"}}\n\n',
    "lunar": f'data: {{"type":"error","message":"{MESSAGE}","code":"invalid"}}\n\ndata: [DONE]\n\n',
    "printer": f'event: error\ndata: {{"error":"{MESSAGE}","code":"invalid"}}\n\n',
    "openai": f'data: {{"error":{{"message":"{MESSAGE}","type":"invalid_request_error","param":null,'
    '"code":"invalid"}}\n\n',
}


@pytest.mark.parametrize("name", FRAMES)
async def test_the_frame_is_in_the_dialect_that_was_asked_for(tmp_path: Path, name: str) -> None:
    async with frontend_of(tmp_path) as gateway:
        refused = await gateway.http.post(f"{STREAM}?format={name}", json={"content": ""})
    assert (refused.status_code, refused.text) == (422, FRAMES[name])


@pytest.mark.parametrize("rig", DIALECT_RIGS, ids=lambda rig: rig.name)
def test_every_dialect_tells_a_refusal(rig: DialectRig) -> None:
    body = rig.dialect.refusal(NoWorker("Nobody\nhere: \u2028 🙂 \ud83d."))
    assert body.decode()
    assert b"Nobody" in body
    assert rig.name not in FRAMES or b"no_worker" in body


async def test_a_format_that_is_none_is_told_in_the_endpoints_own(tmp_path: Path) -> None:
    async with frontend_of(tmp_path) as gateway:
        lam = await gateway.http.post(f"{STREAM}?format=klingon", json={"content": "Hi"})
        words = await gateway.http.post(f"{WORDS}?format=klingon", json={"message": "Hi"})
    assert (code_in(lam), code_in(words)) == ("invalid", "invalid")


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("*/*", False),
        ("text/event-stream", False),
        ("text/event-stream, */*;q=0.1", False),
        ("application/*", False),
        ("application/json;q=0, text/event-stream", False),
        ("application/jsonlines", False),
        ("application/json", True),
        ("APPLICATION/JSON", True),
        ("application/problem+json", True),
        ("application/json, text/plain, */*", True),
        ("text/event-stream, application/json;q=0.5", True),
        ("application/json; charset=utf-8", True),
    ],
)
async def test_accept_decides(tmp_path: Path, accept: str, is_json: bool) -> None:
    async with frontend_of(tmp_path) as gateway:
        refused = await gateway.http.post(STREAM, json={}, headers={"accept": accept})
    assert refused.status_code == 422
    assert (refused.headers["content-type"] == "application/problem+json") == is_json


async def test_the_other_dialects_frontends_read_the_status(tmp_path: Path) -> None:
    async with frontend_of(tmp_path) as gateway:
        lunar = await gateway.http.post("/api/chat/stream", json={"message": ""})
        openai = await gateway.http.post("/v1/chat/completions", json={})
        session = await gateway.http.get("/api/chatbot/sessions/9/events")
        whole = await gateway.http.post("/api/chatbot/messages", json={})
    assert lunar.json()["error"] == lunar.json()["detail"]
    assert openai.json()["error"]["type"] == "invalid_request_error"
    assert (session.json()["code"], whole.json()["code"]) == ("not_found", "invalid")


async def test_every_answer_forbids_sniffing_and_every_503_says_when_to_come_back(tmp_path: Path) -> None:
    async with frontend_of(tmp_path, kind=NobodyThere) as gateway:
        asked = [
            await gateway.http.get(path)
            for path in (
                "/",
                "/docs",
                "/health",
                "/openapi.json",
                "/metrics",
                "/api/chatbot/sessions",
                "/nothing",
            )
        ]
        bodies = {
            **STATUSLESS,
            "/api/chat/stream": {"message": "Hi"},
            "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
            "/api/v1/inference/stream": {"messages": [{"role": "user", "content": "Hi"}]},
            "/api/chatbot/messages": {"content": "Hi"},
        }
        refused = [await gateway.http.post(path, json=body) for path, body in bodies.items()]
    assert {answer.status_code for answer in refused} == {503}
    assert {answer.headers["retry-after"] for answer in refused} == {"2"}
    for answer in (*asked, *refused):
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer.url
