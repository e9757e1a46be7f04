"""Tokens of an issuer at a gateway: users, scopes, refusals, and an issuer that is away."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from gateway.contract.keys import ALL_PERMISSIONS
from gateway.issuer.issued_identities import IssuedIdentities
from gateway.issuer.token_rules import suffix_of
from gateway.web.door.ticket_subjects import session_subject
from tests.issuer.issuer_server import EC, ED, OTHER_RSA, RSA, IssuerServer, signed
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import bearer, make_key
from tests.web.sockets.page_socket import page_socket
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


async def test_session_events_end_when_the_token_expires(gateway: Served, issuer: IssuerServer) -> None:
    token = issuer.token()
    await gateway.http.post(SESSIONS, headers=bearer(token))
    identities = gateway.assembled.gateway.identities
    assert isinstance(identities, IssuedIdentities)
    async with gateway.http.stream("GET", f"{SESSIONS}/1/events", headers=bearer(token)) as tab:
        assert tab.status_code == 200
        identities.now = lambda: time.time() + 3600
        async with asyncio.timeout(60):
            assert b"data:" not in await tab.aread()
    assert (await refusal(gateway, token))[1] == "invalid_token"


async def test_an_administrator_with_a_token_watches_until_it_expires(
    gateway: Served, issuer: IssuerServer
) -> None:
    identities = gateway.assembled.gateway.identities
    assert isinstance(identities, IssuedIdentities)
    headers = bearer(issuer.token(scope="admin"))
    async with gateway.http.stream("GET", "/api/admin/live", headers=headers) as response:
        events = unified_events(response)
        assert (await anext(events))["type"] == "state"
        identities.now = lambda: time.time() + 3600
        async with asyncio.timeout(60):
            assert [event async for event in events if event["type"] not in {"state", "hour"}] == []


async def test_a_ticket_of_another_issuers_user_is_refused(gateway: Served, issuer: IssuerServer) -> None:
    await gateway.http.post(SESSIONS, headers=bearer(issuer.token()))
    for user_id, status in (
        (f"anna{suffix_of(issuer.url)}", 200),
        (f"anna{suffix_of('https://id.example')}", 403),
        ("anna", 403),
    ):
        ticket = gateway.assembled.gateway.tickets.issue(session_subject("1"), user_id)
        async with gateway.http.stream("GET", f"{SESSIONS}/1/events?ticket={ticket}") as tab:
            assert tab.status_code == status


@pytest.mark.parametrize("place", ["frame", "handshake", "ticket"])
async def test_a_token_chats_on_a_websocket(gateway: Served, issuer: IssuerServer, place: str) -> None:
    headers = bearer(issuer.token())
    ticket = (await gateway.http.post("/ws/ticket", json={}, headers=headers)).json()
    query = ticket["url"].removeprefix("/ws") if place == "ticket" else ""
    async with page_socket(gateway.url, query, **(headers if place == "handshake" else {})) as page:
        await page.send("r1", headers=headers if place == "frame" else {})
        assert (await page.heard("r1")).text == "hello"
    (session,) = (await gateway.http.get(SESSIONS, headers=headers)).json()
    assert session["key"].startswith(f"anna{suffix_of(issuer.url)}-")


async def test_a_wrong_token_is_refused_on_a_websocket(gateway: Served, issuer: IssuerServer) -> None:
    expired = bearer(issuer.token(exp=1))
    with pytest.raises(InvalidStatus) as refused:
        async with page_socket(gateway.url, "", **expired):
            pass
    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    async with page_socket(gateway.url) as page:
        await page.send("r1", headers=expired)
        assert (await page.until("r1"))["errorText"] == "The token has expired."
        await page.send("r2", headers=bearer("x." + "y" * 2**19 + ".z"))
        assert "headers: more than" in (await page.until("r2"))["errorText"]
        await page.send("r3", headers=bearer(issuer.token()))
        assert (await page.heard("r3")).text == "hello"


async def test_a_token_in_a_head_that_is_too_large_is_a_431(gateway: Served, issuer: IssuerServer) -> None:
    await gateway.http.get(SESSIONS, headers=bearer(issuer.token()))
    answer = await gateway.http.get(SESSIONS, headers=bearer("x." + "y" * 2**20 + ".z"))
    assert answer.status_code == 431


async def test_the_users_of_an_issuer_have_limits_of_their_own(tmp_path: Path, issuer: IssuerServer) -> None:
    settings = {**issuer.settings(), "rate_per_minute": 2}
    async with served(tmp_path, lambda _: tokens("x"), **settings) as gateway:
        key = await make_key(gateway, "anna")
        told = [
            (await gateway.http.get(SESSIONS, headers=bearer(credential))).status_code
            for credential in (
                issuer.token(),
                issuer.token(jti="2"),
                issuer.token(),
                issuer.token(sub="b"),
                key,
            )
        ]
    assert told == [200, 200, 429, 200, 200]
