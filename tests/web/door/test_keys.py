"""The door in keyed mode: keys, what they open, and when they cease to."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.contract.errors import StorageFailed
from gateway.contract.keys import ALL_PERMISSIONS, KeyCensus, Permission
from gateway.core.key_ring import draw_key
from gateway.telemetry.logs import JsonLines, TextLines
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import bearer, keys_of, make_key, revoke_all
from transports.scripted import tokens

SESSIONS = "/api/chatbot/sessions"
PUBLIC = ["/", "/health", "/ready", "/docs", "/docs/swagger-ui.css", "/openapi.json"]
CLOSED = [SESSIONS, "/api/metrics", "/v1/models", "/nothing", f"{STREAM}/{'0' * 32}", "/docs2", "/healthy"]


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=("https://app.example",)) as gateway:
        yield gateway


async def test_without_a_key_only_what_is_public_is_answered(gateway: Served) -> None:
    await make_key(gateway, "anna")
    for path in PUBLIC:
        assert (await gateway.http.get(path)).status_code == 200, path
    for path in CLOSED:
        refused = await gateway.http.get(path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer"), path
    for path in (STREAM, "/api/chatbot/messages", "/v1/chat/completions", "/api/chat/stream", "/mcp"):
        refused = await gateway.http.post(path, json={"content": "Hi"})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer"), path


async def test_a_refusal_is_a_problem_that_names_no_key(gateway: Served) -> None:
    await make_key(gateway, "anna")
    wrong = draw_key()
    refused = await gateway.http.get(SESSIONS, headers=bearer(wrong))
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.json()["status"], refused.json()["code"]) == (401, "unauthorized")
    assert wrong[3:] not in refused.text


async def test_a_key_comes_in_either_header(gateway: Served) -> None:
    key = await make_key(gateway, "anna")
    for headers in (bearer(key), {"authorization": f"bearer  {key}"}, {"x-api-key": key}):
        assert (await gateway.http.get(SESSIONS, headers=headers)).status_code == 200, headers
    basic = {"authorization": "Basic YTpi", "x-api-key": key}
    assert (await gateway.http.get(SESSIONS, headers=basic)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer sk-"},
        {"authorization": "Basic c2stOg=="},
        {"authorization": b"Bearer \xff\xfe"},
        {"authorization": "Bearer " + "k" * 20_000},
        {"x-api-key": ""},
        {"cookie": "sluice_conversation=AAAAAAAAAAAAAAAAAAAAAA"},
    ],
    ids=lambda headers: str(headers)[:40],
)
async def test_what_is_no_key_opens_nothing(gateway: Served, headers: dict[str, str]) -> None:
    await make_key(gateway, "anna")
    assert (await gateway.http.get(SESSIONS, headers=headers)).status_code == 401


async def test_a_key_in_the_query_opens_nothing(gateway: Served) -> None:
    key = await make_key(gateway, "anna")
    for name in ("key", "api_key", "access_token", "ticket"):
        assert (await gateway.http.get(f"{SESSIONS}?{name}={key}")).status_code == 401


async def test_a_wrong_bearer_is_not_mended_by_another_header(gateway: Served) -> None:
    key = await make_key(gateway, "anna")
    headers = {**bearer(draw_key()), "x-api-key": key}
    assert (await gateway.http.get(SESSIONS, headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("path", "opens"),
    [
        (SESSIONS, {"chat"}),
        ("/api/metrics", {"metrics", "admin"}),
        ("/metrics", {"metrics", "admin"}),
        ("/api/admin/mode", {"admin"}),
    ],
)
async def test_a_path_opens_to_its_scopes_only(gateway: Served, path: str, opens: set[Permission]) -> None:
    for permission in ALL_PERMISSIONS:
        key = await make_key(gateway, "anna", frozenset({permission}))
        answered = await gateway.http.get(path, headers=bearer(key))
        assert (answered.status_code != 403) == (permission in opens), permission
        if permission not in opens:
            assert answered.json()["code"] == "forbidden"
            assert all(scope in answered.json()["detail"] for scope in opens)


async def test_the_first_key_closes_open_mode_and_the_last_one_does_not_open_it(gateway: Served) -> None:
    await gateway.events({"content": "while open"})
    assert len((await gateway.http.get(SESSIONS)).json()) == 1
    key = await make_key(gateway, "anna")
    assert (await gateway.http.get(SESSIONS)).status_code == 401
    assert (await gateway.http.get(SESSIONS, headers=bearer(key))).json() == []
    await revoke_all(gateway)
    assert (await gateway.http.get(SESSIONS, headers=bearer(key))).status_code == 401
    assert (await gateway.http.get(SESSIONS)).status_code == 401


async def test_a_gateway_that_starts_with_keys_is_closed(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        key = await make_key(gateway, "anna")
        await revoke_all(gateway)
    async with served(tmp_path, lambda _: tokens("x"), allow_open=True) as gateway:
        assert (await gateway.http.get(SESSIONS, headers=bearer(key))).status_code == 401


async def test_with_keys_it_does_not_matter_where_a_request_comes_from(gateway: Served) -> None:
    elsewhere = {
        "host": "chat.example",
        "origin": "https://other.example",
        "x-forwarded-for": "10.1.1.1",
        "forwarded": "for=10.1.1.1",
    }
    assert (await gateway.http.get("/health", headers=elsewhere)).status_code == 403
    key = await make_key(gateway, "anna")
    assert (await gateway.http.get(SESSIONS, headers=elsewhere | bearer(key))).status_code == 200
    assert (await gateway.http.get("/health", headers=elsewhere)).status_code == 200


async def test_a_browser_asks_first_without_a_key(gateway: Served) -> None:
    key = await make_key(gateway, "anna")
    asks = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, x-api-key, idempotency-key",
    }
    preflight = await gateway.http.options(STREAM, headers=asks)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    refused = await gateway.http.options(STREAM, headers=asks | {"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in refused.headers
    for headers, status in ((bearer(key), 200), ({}, 401)):
        answered = await gateway.http.get(SESSIONS, headers={"origin": "https://app.example", **headers})
        assert answered.status_code == status
        assert answered.headers["access-control-allow-origin"] == "https://app.example"
        assert answered.headers["access-control-allow-credentials"] == "true"


async def test_credentials_are_for_named_origins_only(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=("*",), allow_open=True) as gateway:
        headers = {"origin": "https://any.example", "cookie": "a=b"}
        answered = await gateway.http.get(SESSIONS, headers=headers)
    assert answered.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answered.headers


async def test_who_cannot_be_checked_is_not_let_in_but_the_process_lives(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> KeyCensus:
        raise StorageFailed("The database could not answer.")

    key = await make_key(gateway, "anna")
    monkeypatch.setattr(keys_of(gateway).keys, "census", away)
    assert (await gateway.http.get(SESSIONS, headers=bearer(key))).status_code == 200
    monkeypatch.setattr(gateway.assembled.gateway.keys, "_read_at", float("-inf"))
    refused = await gateway.http.get(SESSIONS, headers=bearer(key))
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_failed")
    assert (await gateway.http.get("/health")).status_code == 200


async def test_the_use_of_a_key_is_kept(gateway: Served) -> None:
    key = await make_key(gateway, "anna")
    await gateway.http.get(SESSIONS, headers=bearer(key))
    await gateway.assembled.gateway.keys.note_used()
    (stored,) = await keys_of(gateway).keys.all()
    assert stored.last_used_at is not None


async def test_keys_and_tickets_are_in_no_log_line(
    gateway: Served, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    key, wrong = await make_key(gateway, "anna"), draw_key()
    async with plain_http(gateway.url, headers=bearer(key)) as anna:
        session = (await anna.post(SESSIONS)).json()["id"]
        ticket = (await anna.post(f"{SESSIONS}/{session}/ticket")).json()["ticket"]
        await anna.get(f"{STREAM}/{'0' * 32}?ticket={ticket}")
        await anna.get(SESSIONS, headers=bearer(wrong))
        await anna.post(STREAM, content=b"{" + key.encode(), headers={"content-type": "application/json"})
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    said = "".join(TextLines().format(record) + JsonLines().format(record) for record in ours)
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())  # noqa: ASYNC240 - all small
    for secret in (key, wrong, ticket):
        assert secret not in said
        assert secret.encode() not in kept
