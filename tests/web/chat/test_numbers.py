"""Numbers that JSON can spell and no program can pass on: refused wherever they stand, never a 500."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import tokens

JSON = {"content-type": "application/json"}
ENDLESS = ["1e999", "-1e999", "1E+0400", "NaN", "Infinity", "-Infinity", "1" * 400 + ".0", "0.1e310"]
ENDLESS += ["9" * 400, "-1" + "0" * 309, "1" + "9" * 308]
HUGE = [str(2**64), str(-(2**63) - 1), "1" + "0" * 30, "1" + "0" * 308]


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(tmp_path_factory.mktemp("gateway"), lambda _: tokens("x"), within_s=600) as gateway:
        await gateway.http.post("/api/chatbot/templates", json={"name": "x"})
        await gateway.http.post("/api/chatbot/sessions", json={})
        yield gateway


CHAT = '{"content":"x",%s}'
COMPLETION = '{"messages":[{"role":"user","content":"x"}],%s}'
TEMPLATES = "/api/chatbot/templates"
BODIES: list[tuple[str, str, str]] = [
    *(("POST", path, CHAT) for path in (STREAM, f"/api/chatbot{STREAM}", "/api/chatbot/messages")),
    ("POST", f"{TEMPLATES}/1/test", CHAT),
    *(("POST", path, COMPLETION) for path in ("/v1/chat/completions", "/api/v1/inference/stream")),
    ("POST", "/api/chat/stream", '{"message":"x",%s}'),
    ("POST", "/api/chat/stream", '{"user_message":"x",%s}'),
    ("POST", "/api/v1/chat/unified/stream", '{"message":"x",%s}'),
    ("POST", TEMPLATES, '{"name":"x",%s}'),
    ("PUT", f"{TEMPLATES}/1", '{"name":"x",%s}'),
    ("POST", "/api/chatbot/sessions", '{"title":"x",%s}'),
    ("PATCH", "/api/chatbot/sessions/1", '{"title":"x",%s}'),
]
FIELDS = [
    '"temperature":N',
    '"max_tokens":N',
    '"options":{"top_k":N}',
    '"options":{"logit_bias":[[1,N]]}',
    '"tools":[{"type":"function","function":{"name":"f","parameters":{"maximum":N}}}]',
    '"tool_choice":{"a":N}',
    '"response_format":{"schema":{"const":N}}',
    '"metadata":{"a":{"b":[N]}}',
    '"unknown":N',
]


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
async def test_a_number_that_no_double_holds_is_400_wherever_it_stands(
    gateway: Served, method: str, path: str, body: str
) -> None:
    asked = len(gateway.transport.seen_requests)
    for at, field in enumerate(FIELDS * 2):
        number = ENDLESS[at % len(ENDLESS)]
        headers = JSON if at < len(FIELDS) else {**JSON, "idempotency-key": "k"}
        content = body % field.replace("N", number)
        answer = await gateway.http.request(method, path, content=content, headers=headers)
        assert answer.status_code == 400, (content, answer.text)
        assert "number" in answer.text
    assert len(gateway.transport.seen_requests) == asked


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
async def test_a_whole_number_beyond_64_bits_is_no_500(
    gateway: Served, method: str, path: str, body: str
) -> None:
    for at, field in enumerate(FIELDS * 2):
        headers = JSON if at % 2 else {**JSON, "idempotency-key": f"{at} {path}"}
        content = body % field.replace("N", HUGE[at % len(HUGE)])
        answer = await gateway.http.request(method, path, content=content, headers=headers)
        assert answer.status_code < 500, (field, answer.text)


async def test_a_text_that_only_looks_like_such_a_number_is_none(tmp_path: Path) -> None:
    said = "NaN, Infinity, -Infinity, 1e999 and " + "9" * 400
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        body = json.dumps({"content": said, "options": {"a": said, "1e999": 1e300}})
        answer = await gateway.http.post(STREAM, content=body, headers=JSON)
        assert answer.status_code == 200
        assert gateway.transport.seen_requests[0].turns[-1].content == said
