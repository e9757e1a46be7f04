"""Tokens of an issuer at a gateway: users, scopes, refusals, and an issuer that is away."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.keys import ALL_PERMISSIONS
from gateway.issuer.token_rules import suffix_of
from tests.issuer.issuer_server import EC, ED, OTHER_RSA, RSA, IssuerServer, signed
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens

SESSIONS = "/api/chatbot/sessions"


@pytest.fixture
async def issuer() -> AsyncIterator[IssuerServer]:
    async with IssuerServer().running() as issuer:
        yield issuer


@pytest.fixture
async def gateway(tmp_path: Path, issuer: IssuerServer) -> AsyncIterator[Served]:
    async with served(tmp_path, lambda _: tokens("hello"), sse_ping_s=0.5, **issuer.settings()) as gateway:
        yield gateway


async def refusal(gateway: Served, token: str, path: str = SESSIONS) -> tuple[int, str, str]:
    """Return status, code and challenge."""
    answer = await gateway.http.get(path, headers=bearer(token))
    return answer.status_code, answer.json()["code"], answer.headers.get("www-authenticate", "")


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "PS512"), (EC, "ES256"), (ED, "EdDSA")])
async def test_a_token_chats_as_its_own_user(
    gateway: Served, issuer: IssuerServer, key: Any, alg: str
) -> None:
    headers = bearer(issuer.token(key, alg))
    answer = await gateway.http.post(STREAM, json={"content": "Hi"}, headers=headers)
    assert '"done"' in answer.text
    (session,) = (await gateway.http.get(SESSIONS, headers=headers)).json()
    assert session["key"].startswith(f"anna{suffix_of(issuer.url)}-")
    by_key = await gateway.http.get(f"{SESSIONS}/{session['key']}", headers=headers)
    assert by_key.json()["id"] == session["id"]


async def test_without_a_key_and_a_token_nothing_is_allowed(gateway: Served) -> None:
    answer = await gateway.http.get(SESSIONS)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_an_api_key_of_the_same_name_is_another_user(gateway: Served, issuer: IssuerServer) -> None:
    key = await make_key(gateway, "anna")
    await gateway.http.post(SESSIONS, json={"title": "the key's"}, headers=bearer(key))
    assert (await gateway.http.get(SESSIONS, headers=bearer(issuer.token()))).json() == []
    assert (await gateway.http.get(f"{SESSIONS}/1", headers=bearer(issuer.token()))).status_code == 404
    assert len((await gateway.http.get(SESSIONS, headers=bearer(key))).json()) == 1


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
async def test_a_token_is_accepted_where_a_key_is(gateway: Served, issuer: IssuerServer, header: str) -> None:
    value = issuer.token() if header == "x-api-key" else f"Bearer {issuer.token()}"
    assert (await gateway.http.get(SESSIONS, headers={header: value})).status_code == 200


@pytest.mark.parametrize(
    ("claims", "path", "status"),
    [
        ({"scope": "openid chat"}, SESSIONS, 200),
        ({"scope": "metrics"}, "/metrics", 200),
        ({"scope": "admin"}, "/api/admin/streams", 200),
        ({"scope": ["chat", "admin"]}, "/api/admin/streams", 200),
        ({"scope": "metrics"}, SESSIONS, 403),
        ({"scope": "chatter"}, SESSIONS, 403),
        ({"scope": None}, SESSIONS, 403),
        ({"scope": {"chat": True}}, SESSIONS, 403),
        ({"scope": "chat"}, "/api/admin/streams", 403),
        ({"scope": None, "scp": "chat"}, SESSIONS, 403),
    ],
)
async def test_scopes_open_what_they_open_for_keys(
    gateway: Served, issuer: IssuerServer, claims: dict[str, Any], path: str, status: int
) -> None:
    answer = await gateway.http.get(path, headers=bearer(issuer.token(**claims)))
    assert answer.status_code == status
    if status == 403:
        wanted = "admin" if "admin" in path else "chat"
        assert answer.json()["code"] == "insufficient_scope"
        assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{wanted}"'


@pytest.mark.parametrize(
    ("claim", "claims", "status"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["chat"]}}, 200),
        ("realm_access.roles", {"realm_access": ["chat"]}, 403),
        ("https://chat.example/scopes", {"https://chat.example/scopes": ["chat"]}, 200),
        ("", {"scope": None}, 200),
    ],
)
async def test_the_claim_with_the_scopes_is_a_setting(
    tmp_path: Path, issuer: IssuerServer, claim: str, claims: dict[str, Any], status: int
) -> None:
    settings = {**issuer.settings(), "issuer_scopes_claim": claim}
    async with served(tmp_path, lambda _: tokens("x"), **settings) as gateway:
        headers = bearer(issuer.token(**claims))
        assert (await gateway.http.get(SESSIONS, headers=headers)).status_code == status
        assert (await gateway.http.get("/api/admin/streams", headers=headers)).status_code == 403


async def test_a_wrong_token_is_a_401_in_every_dialects_own_shape(
    gateway: Served, issuer: IssuerServer
) -> None:
    headers = bearer(issuer.token(exp=1))
    said = "The token has expired."
    for path, body, text in (
        (STREAM, {"content": "Hi"}, f'"detail":"{said}"'),
        ("/api/chat/stream", {"message": "Hi"}, said),
        ("/v1/chat/completions", {"messages": []}, '"code":"invalid_api_key"'),
        ("/v1/responses", {"input": "Hi"}, '"code":"invalid_api_key"'),
        ("/v1/messages", {"messages": []}, '"type":"authentication_error"'),
        ("/api/chat", {"messages": []}, f'{{"error":"{said}"}}'),
        ("/api/ag-ui", {}, '"code":"invalid_token"'),
    ):
        answer = await gateway.http.post(path, json=body, headers=headers)
        assert (answer.status_code, text in answer.text, said in answer.text) == (401, True, True), (
            answer.text
        )
        assert (
            answer.headers["www-authenticate"] == f'Bearer error="invalid_token", error_description="{said}"'
        )
    frame = await gateway.http.post(
        STREAM, json={"content": "Hi"}, headers={**headers, "accept": "text/event-stream"}
    )
    assert frame.text.startswith(f'data: {{"type":"error","message":"{said}"')


async def test_an_issuer_that_is_away_from_the_start_is_a_503(gateway: Served, issuer: IssuerServer) -> None:
    issuer.mode = "away"
    answer = await gateway.http.get(SESSIONS, headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    key = await make_key(gateway, "anna", ALL_PERMISSIONS)
    assert (await gateway.http.get(SESSIONS, headers=bearer(key))).status_code == 200
    assert (await refusal(gateway, issuer.token(alg="RS256", exp=1)))[0] == 503
    assert issuer.asked == ["/.well-known/openid-configuration"], "it is asked once in ten seconds"


async def test_nothing_is_read_before_the_first_token(gateway: Served, issuer: IssuerServer) -> None:
    key = await make_key(gateway, "anna")
    for credentials in ({}, bearer(key), bearer("sk-wrong"), bearer("no.to ken"), bearer("a.b.c")):
        await gateway.http.get(SESSIONS, headers=credentials)
    assert issuer.asked == []


async def test_a_refusal_is_logged_without_the_token(
    gateway: Served, issuer: IssuerServer, caplog: pytest.LogCaptureFixture
) -> None:
    header = {"alg": "RS256", "kid": "rsa"}
    wrong = [
        issuer.token(aud="other"),
        signed(header, issuer.claims(), OTHER_RSA),
        issuer.token(RSA, "RS256", sub="x" * 300),
    ]
    with caplog.at_level(logging.DEBUG):
        for token in wrong:
            assert (await refusal(gateway, token))[0] == 401
    said = caplog.text
    assert "401 invalid_token" in said
    for token in wrong:
        assert not any(part in said for part in token.split(".")[1:])


async def test_session_events_of_a_token_are_heard_with_a_ticket(
    gateway: Served, issuer: IssuerServer
) -> None:
    headers = bearer(issuer.token())
    await gateway.http.post(SESSIONS, headers=headers)
    told = (await gateway.http.post(f"{SESSIONS}/1/ticket", headers=headers)).json()
    async with gateway.http.stream("GET", told["url"]) as tab:
        assert tab.status_code == 200
        await gateway.http.post(
            "/api/chatbot/messages", json={"content": "Hi", "session_id": 1}, headers=headers
        )
        news = unified_events(tab)
        assert [(await anext(news))["type"] for _ in range(3)] == ["message", "reply_started", "reply_ended"]


async def test_a_reply_of_a_token_is_resumed_with_the_ticket_in_its_url(
    gateway: Served, issuer: IssuerServer
) -> None:
    body = {"content": "Hi", "resumable": True}
    answer = await gateway.http.post(STREAM, json=body, headers=bearer(issuer.token()))
    again = await gateway.http.get(answer.headers["sluice-resume-url"])
    assert (again.status_code, "hello" in again.text) == (200, True)
