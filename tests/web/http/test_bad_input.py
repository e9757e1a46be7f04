"""Rubbish at the door: a clear answer, nothing kept, and the gateway goes on."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import tokens


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("gateway")
    async with served(folder, lambda _: tokens("x"), 600, max_body_bytes=1024 * 1024) as gateway:
        yield gateway


async def sessions_of(gateway: Served) -> list[Any]:
    told: list[Any] = (await gateway.http.get("/api/chatbot/sessions")).json()
    return told


JSON = {"content-type": "application/json"}
ENDPOINTS = [STREAM, "/api/chatbot/messages/stream", "/api/chatbot/messages"]


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_request"),
        (b"{", 400, "bad_request"),
        (b"\xff\xfe", 400, "bad_request"),
        (b'{"content": "a" "b"}', 400, "bad_request"),
        (b"[" * 100_000, 400, "bad_request"),
        (b'{"content":"x","options":' + b"[" * 100_000, 400, "bad_request"),
        (b"[]", 422, "invalid"),
        (b'"text"', 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"content": ""}', 422, "invalid"),
        (b'{"content": " \\n "}', 422, "invalid"),
        (b'{"content": 5}', 422, "invalid"),
        (b'{"content": null}', 422, "invalid"),
        (b'{"content": "x", "session_id": "77000"}', 404, "not_found"),
        (b'{"content": "x", "session_id": 0}', 422, "invalid"),
        (b'{"content": "x", "session_id": 99999999999999999999}', 422, "invalid"),
        (b'{"content": "x", "session_id": 77000}', 404, "not_found"),
        (b'{"content": "x", "temperature": -1}', 422, "invalid"),
        (b'{"content": "x", "max_tokens": 0}', 422, "invalid"),
        (b'{"content": "x", "options": []}', 422, "invalid"),
        (b'{"content": "x", "mirror": "robot/1"}', 422, "invalid"),
        (b'{"content": "x", "mirror": "robot\\n"}', 422, "invalid"),
        (b'{"content": "x", "mirror": ""}', 422, "invalid"),
        (b'{"content": "x", "mirror": "robot-1"}', 404, "not_found"),
        (b'{"content": "x", "options": {"a": "' + b"y" * 70_000 + b'"}}', 422, "invalid"),
        (b'{"content": "' + b"x" * 33_000 + b'"}', 422, "invalid"),
        (b'{"content": "' + b"x" * 2_000_000 + b'"}', 413, "too_large"),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else None,
)
async def test_rubbish_has_its_answer_and_keeps_nothing(
    gateway: Served, path: str, body: bytes, status: int, code: str
) -> None:
    asked, before = len(gateway.transport.seen_requests), await sessions_of(gateway)
    response = await gateway.http.post(path, content=body, headers=JSON)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert set(response.json()) >= {"type", "title", "status", "detail", "code"}
    assert (len(gateway.transport.seen_requests), await sessions_of(gateway)) == (asked, before)


async def test_a_422_names_every_field(gateway: Served) -> None:
    response = await gateway.http.post(STREAM, json={"content": "", "top_p": 3})
    assert {error["field"] for error in response.json()["errors"]} == {"content", "top_p"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", STREAM, 405),
        ("PUT", "/api/chatbot/sessions", 405),
        ("GET", "/api/chatbot/sessions/x/messages", 404),
        ("GET", "/api/chatbot/sessions/0", 404),
        ("GET", "/api/chatbot/sessions/77000", 404),
        ("GET", "/api/chatbot/sessions/77000/messages", 404),
        ("GET", "/api/chatbot/sessions?limit=-1", 422),
        ("GET", "/api/chatbot/sessions?before=x", 404),
    ],
)
async def test_wrong_addresses_are_problems_too(gateway: Served, method: str, path: str, status: int) -> None:
    response = await gateway.http.request(method, path)
    assert response.status_code == status
    assert response.json()["status"] == status


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", STREAM, "POST"),
        ("DELETE", "/api/chatbot/messages", "POST"),
        ("GET", "/api/chat/stream", "POST"),
        ("GET", "/api/v1/inference/stream", "POST"),
        ("PUT", f"{STREAM}/abc", "GET, DELETE, HEAD"),
        ("POST", "/api/chatbot/sessions/1/events", "GET, HEAD"),
        ("GET", "/api/chatbot/templates/1/test", "POST"),
        ("GET", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/v1/models/tiny", "GET, HEAD"),
    ],
)
async def test_a_405_says_what_is_allowed(gateway: Served, method: str, path: str, allowed: str) -> None:
    response = await gateway.http.request(method, path)
    assert (response.status_code, response.headers.get("allow")) == (405, allowed)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"title": 5}', b'{"title": "' + b"x" * 200 + b'"}'])
async def test_a_session_with_a_wrong_title_is_refused(gateway: Served, body: bytes) -> None:
    response = await gateway.http.post("/api/chatbot/sessions", content=body, headers=JSON)
    assert response.status_code in {400, 422}


FOREIGN: list[tuple[dict[str, str], int]] = [
    ({"host": "evil.example"}, 403),
    ({"host": "127.0.0.1.evil.example:80"}, 403),
    ({"origin": "https://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"x-forwarded-for": "10.0.0.1"}, 403),
    ({"forwarded": "for=10.0.0.1"}, 403),
    ({"content-type": "text/plain"}, 415),
    ({"content-type": "application/x-www-form-urlencoded"}, 415),
]


@pytest.mark.parametrize(("headers", "status"), FOREIGN)
async def test_in_open_mode_no_web_page_comes_in(
    gateway: Served, headers: dict[str, str], status: int
) -> None:
    asked = len(gateway.transport.seen_requests)
    response = await gateway.http.post(STREAM, content=b'{"content":"x"}', headers={**JSON, **headers})
    assert (response.status_code, len(gateway.transport.seen_requests)) == (status, asked)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8000"},
        {"host": "[::1]:8000"},
        {"origin": "http://localhost:5173"},
        {"content-type": "application/json; charset=utf-8"},
        {"authorization": "Bearer whatever"},
    ],
)
async def test_in_open_mode_this_machine_comes_in(gateway: Served, headers: dict[str, str]) -> None:
    response = await gateway.http.post(STREAM, content=b'{"content":"x"}', headers={**JSON, **headers})
    assert response.status_code == 200


async def test_a_named_origin_may_ask_and_read_our_headers(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"cors_origins": ("https://app.example",)}
    headers = {**JSON, "origin": "https://app.example"}
    async with served(tmp_path, lambda _: tokens("x"), **settings) as gateway:
        response = await gateway.http.post(STREAM, content=b'{"content":"x"}', headers=headers)
        foreign = await gateway.http.post(
            STREAM, content=b'{"content":"x"}', headers={**JSON, "origin": "https://evil.example"}
        )
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    assert "Sluice-Stream-Id" in response.headers["access-control-expose-headers"]
    assert foreign.status_code == 403
