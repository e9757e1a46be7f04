"""Every endpoint of the table does what its entry says; an endpoint is one entry."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gateway.contract.keys import PERMISSIONS
from gateway.web.app import api_of
from gateway.web.endpoints.table import ENDPOINTS
from gateway.web.http.endpoint import Endpoint, JsonEndpoint
from gateway.web.http.error_shapes import (
    ANTHROPIC,
    API_CHAT,
    FRONTEND,
    LAM_FRAME,
    OLLAMA,
    OPENAI,
    PLAIN_TEXT,
    PROBLEM,
    WORDS_FRAME,
)
from tests.web.error_shapes import is_anthropics, is_ollamas, is_openais, is_problem
from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
NOBODYS = "987654"
PATHS = sorted({endpoint.path for endpoint in ENDPOINTS})


def filled(path: str, **ids: str) -> str:
    return re.sub(r"{(\w+)(:path)?}", lambda found: ids.get(found[1], NOBODYS), path)


async def ask(
    http: httpx.AsyncClient, method: str, path: str, headers: dict[str, str] | None = None
) -> httpx.Response:
    body: dict[str, str] | None = {} if method in {"POST", "PUT", "PATCH"} else None
    sent = {"accept": "*/*", **(headers or {})}
    async with http.stream(method, path, json=body, headers=sent) as answer:
        if answer.status_code != httpx.codes.OK:  # a stream that is answered may have no end
            await answer.aread()
        return answer


def is_shaped(answer: httpx.Response, endpoint: Endpoint) -> bool:
    kind = answer.headers["content-type"]
    if endpoint.errors in {LAM_FRAME, WORDS_FRAME}:
        return kind.startswith("text/event-stream")
    if endpoint.errors is OPENAI:
        return kind == "application/json" and "message" in answer.json()["error"]
    if endpoint.errors is ANTHROPIC:
        return kind == "application/json" and "message" in answer.json()["error"]
    if endpoint.errors is PLAIN_TEXT:
        return kind == "text/plain; charset=utf-8"
    if endpoint.errors in {API_CHAT, OLLAMA}:
        return kind == "application/json" and list(answer.json()) == ["error"]
    assert endpoint.errors in {PROBLEM, FRONTEND}
    is_problem = kind == "application/problem+json" and answer.json()["status"] == answer.status_code
    return is_problem and ("error" in answer.json()) == (endpoint.errors is FRONTEND)


def test_every_entry_has_a_name_and_a_description_of_its_own() -> None:
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS)
    assert len({(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}) == len(ENDPOINTS)
    for endpoint in ENDPOINTS:
        assert endpoint.summary, endpoint.name
        assert endpoint.description.endswith("."), endpoint.name
        assert endpoint.summary[-1] != ".", endpoint.name


async def test_fastapi_has_the_json_endpoints_of_the_table_and_no_other_route(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        routes = api_of(gateway.assembled.gateway).routes
    there = [(method, route.path) for route in routes for method in route.methods]  # type: ignore[attr-defined]
    table = [(entry.method, entry.path) for entry in ENDPOINTS if isinstance(entry, JsonEndpoint)]
    assert sorted(there) == sorted(table)


async def test_without_a_key_only_public_endpoints_answer(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        await make_key(gateway, "anna")
        for endpoint in ENDPOINTS:
            answer = await ask(gateway.http, endpoint.method, filled(endpoint.path))
            assert (answer.status_code == 401) == bool(endpoint.scopes), endpoint.name
            if endpoint.scopes:
                assert answer.headers["www-authenticate"] == "Bearer"
                assert is_shaped(answer, endpoint), endpoint.name


@pytest.mark.parametrize("permission", PERMISSIONS)
async def test_a_key_opens_the_endpoints_of_its_scope_only(tmp_path: Path, permission: str) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        key = await make_key(gateway, "anna", frozenset({permission}))  # type: ignore[arg-type]
        for endpoint in ENDPOINTS:
            answer = await ask(gateway.http, endpoint.method, filled(endpoint.path), bearer(key))
            opens = not endpoint.scopes or permission in endpoint.scopes
            assert (answer.status_code == 403) != opens, endpoint.name
            if not opens:
                assert all(scope in answer.text for scope in endpoint.scopes), endpoint.name
                assert is_shaped(answer, endpoint), endpoint.name


async def test_a_wrong_path_or_method_is_told_before_a_wrong_content_type(tmp_path: Path) -> None:
    """As curl sends a body without a header, to `/api/pull` of Ollama's API for instance."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        unknown = await gateway.http.post("/api/pull", content="{}", headers=form)
        unknown_v1 = await gateway.http.post("/v1/engines", content="{}", headers=form)
        wrong = await gateway.http.put("/messages/stream", content="{}", headers=form)
        known = await gateway.http.post("/messages/stream", content="{}", headers=form)
    assert [answer.status_code for answer in (unknown, unknown_v1, wrong, known)] == [404, 404, 405, 415]


async def test_every_other_method_is_405_and_names_those_that_are_answered(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [], cors_origins=("https://app.example",)) as gateway:
        for path in PATHS:
            entries = [endpoint for endpoint in ENDPOINTS if endpoint.path == path]
            answered = {str(endpoint.method) for endpoint in entries}
            if answered == {"WEBSOCKET"}:
                continue  # test_a_path_of_a_websocket_alone_allows_no_method
            allowed = answered | ({"HEAD"} if "GET" in answered else set())
            for method in METHODS - answered:
                refused = await ask(gateway.http, method, filled(path))
                assert refused.status_code == 405, (method, path)
                assert set(refused.headers["allow"].split(", ")) == allowed, (method, path)
                assert is_shaped(refused, entries[0]), (method, path)
            preflight = await gateway.http.options(
                filled(path),
                headers={"origin": "https://app.example", "access-control-request-method": "GET"},
            )
            told = set(preflight.headers["access-control-allow-methods"].split(", "))
            assert (preflight.status_code, told) == (200, allowed), path


async def test_a_path_of_a_websocket_alone_allows_no_method(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        refused = await gateway.http.get("/ws")
    assert (refused.status_code, refused.headers["allow"]) == (405, "")
    assert refused.json()["detail"] == "Only WebSocket is allowed here."


@pytest.mark.parametrize(
    ("path", "has_shape"),
    [
        ("/nothing", is_problem),
        ("/v1/nothing", is_openais),
        ("/v1/messages/batches", is_anthropics),
        ("/api/admin/nothing", is_problem),
        ("/api/chatbot/nothing", is_problem),
        ("/api/pull", is_ollamas),
        (f"{STREAM}/", is_problem),
        ("/api", is_problem),
        ("/%0a", is_problem),
        ("/api//chat", is_ollamas),
    ],
)
async def test_a_path_of_no_endpoint_is_404_for_every_method(
    tmp_path: Path, path: str, has_shape: Callable[[httpx.Response], bool]
) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        for method in METHODS:
            answer = await ask(gateway.http, method, path)
            assert answer.status_code == 404, method
            assert has_shape(answer), method


async def things_of(gateway: Served) -> dict[str, str]:
    """One of each thing that a path can name."""
    asked = await gateway.http.post(
        STREAM, json={"content": "Hi"}, headers={"idempotency-key": "k", "accept": "*/*"}
    )
    template = await gateway.http.post("/api/chatbot/templates", json={"name": "short"})
    room = await gateway.http.post("/api/chatbot/rooms")
    file = {"name": "a.txt", "data": "SGVsbG8="}
    attachment = await gateway.http.post("/api/chatbot/attachments", json=file)
    return {
        "stream_id": asked.headers["sluice-stream-id"],
        "session_id": "1",
        "template_id": str(template.json()["id"]),
        "room_id": str(room.json()["id"]),
        "asset": "start.js",
        "attachment_id": attachment.json()["id"],
    }


MISSING = {
    "model": 404,
    "ai_sdk_resume": 204,
    "response": 404,
    "response_input_items": 404,
    "page_file": 404,
    "show_broker": 409,
}


async def test_head_is_get_without_a_body(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        ids = await things_of(gateway)
        for endpoint in ENDPOINTS:
            if endpoint.method != "GET":
                continue
            # No such model, chat, response and file, and no broker.
            status = MISSING.get(endpoint.name, 200)
            headed = await gateway.http.head(filled(endpoint.path, **ids))
            assert (headed.status_code, headed.content) == (status, b""), endpoint.name
            if endpoint.name in {"session_events", "room_events", "admin_live"}:
                continue  # its GET has no end
            got = await gateway.http.get(filled(endpoint.path, **ids))
            assert got.status_code == status, endpoint.name
            assert headed.headers.get("content-type") == got.headers.get("content-type"), endpoint.name


async def test_a_session_goes_by_its_id_uuid_and_key_wherever_a_path_names_it(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        for endpoint in ENDPOINTS:
            if "{session_id}" not in endpoint.path:
                continue
            answers = set()
            for name in ("id", "uuid", "key"):
                session = (await gateway.http.post("/api/chatbot/sessions", json={})).json()
                path = endpoint.path.replace("{session_id}", str(session[name]))
                method = "HEAD" if endpoint.name == "session_events" else endpoint.method
                body = {"title": "Another"} if endpoint.method in {"POST", "PATCH"} else None
                answers.add((await gateway.http.request(method, path, json=body)).status_code)
            assert answers in ({200}, {204}), endpoint.name
