"""Keys over HTTP: created, listed and revoked, with effect at once."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.web.gateway_server import served
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens

KEYS = "/api/admin/keys"
SESSIONS = "/api/chatbot/sessions"


async def test_a_key_is_created_shown_once_used_listed_and_revoked(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        admin = bearer(await make_key(gateway, "ops", frozenset({"admin"})))
        wanted = {"user": "anna", "name": "laptop", "scopes": ["chat", "metrics"], "streams": 2}
        answer = await gateway.http.post(KEYS, json=wanted, headers=admin)
        created = answer.json()
        key = bearer(created["key"])
        used = await gateway.http.get(SESSIONS, headers=key)
        (ops, annas) = (await gateway.http.get(KEYS, headers=admin)).json()
        revoked = await gateway.http.delete(f"{KEYS}/{created['id']}", headers=admin)
        dead = await gateway.http.get(SESSIONS, headers=key)
        again = await gateway.http.delete(f"{KEYS}/{created['id']}", headers=admin)
        log = (await gateway.http.get("/api/admin/audit", headers=admin)).text
        listed = (await gateway.http.get(KEYS, headers=admin)).json()[1]
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert re.fullmatch(r"sk-[A-Za-z0-9_-]{43}", created["key"])
    assert created["key"].startswith(created["prefix"])
    told = {name: value for name, value in created.items() if name not in {"key", "last_used_at"}}
    assert told.items() <= annas.items()
    assert (annas["user"], annas["scopes"], annas["rate_per_minute"], annas["streams"]) == (
        *("anna", ["chat", "metrics"]),
        *(None, 2),
    )
    assert (ops["user"], ops["scopes"]) == ("ops", ["admin"])
    assert [used.status_code, revoked.status_code, dead.status_code, again.status_code] == [
        200,
        204,
        401,
        404,
    ]
    assert listed["revoked_at"] is not None
    assert '"key.create","subject":"2","detail":{"user":"anna","name":"laptop"' in log
    assert '"key.revoke","subject":"2"' in log
    assert "sk-" not in log


async def test_the_first_key_closes_the_door_behind_the_one_who_made_it(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        created = (await gateway.http.post(KEYS, json={"user": "ops", "scopes": ["admin"]})).json()
        assert (await gateway.http.get(KEYS)).status_code == 401
        assert (await gateway.http.get(KEYS, headers=bearer(created["key"]))).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": ""},
        {"user": "two words"},
        {"user": "x" * 65},
        {"user": "anna\n"},
        {"user": "anna", "scopes": []},
        {"user": "anna", "scopes": ["root"]},
        {"user": "anna", "scopes": "chat"},
        {"user": "anna", "streams": 0},
        {"user": "anna", "rate_per_minute": 10**9},
        {"user": "anna", "rate_per_minute": True},
        {"user": "anna", "tokens_per_day": 0},
        {"user": "anna", "tokens_per_day": -5},
        {"user": "anna", "tokens_per_day": 10**30},
        {"user": "anna", "tokens_per_day": "many"},
        {"user": "anna", "expires_at": "2020-01-01"},
        {"user": "anna", "expires_at": "30 parsecs"},
        {"user": "anna", "expires_at": 30},
        {"user": "anna", "name": "two\nlines"},
        {"user": "anna", "name": "x" * 121},
        {"user": "anna", "scope": ["admin"]},
    ],
)
async def test_a_key_that_does_not_fit_is_not_made(tmp_path: Path, body: dict[str, Any]) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        refused = await gateway.http.post(KEYS, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
        assert (await gateway.http.get(KEYS)).json() == []


@pytest.mark.parametrize(("id", "status"), [("7", 404), ("0", 422), ("one", 422), (str(2**63), 422)])
async def test_an_unknown_key_cannot_be_revoked(tmp_path: Path, id: str, status: int) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        assert (await gateway.http.delete(f"{KEYS}/{id}")).status_code == status


async def test_limits_are_given_changed_and_removed(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        admin = bearer(await make_key(gateway, "ops", frozenset({"admin"})))
        wanted = {"user": "anna", "tokens_per_day": 1000, "expires_at": "2099-01-31"}
        made = (await gateway.http.post(KEYS, json=wanted, headers=admin)).json()
        url = f"{KEYS}/{made['id']}"
        changed = await gateway.http.patch(url, json={"tokens_per_day": 5}, headers=admin)
        removed = await gateway.http.patch(
            url, json={"tokens_per_day": None, "expires_at": None}, headers=admin
        )
        listed = (await gateway.http.get(KEYS, headers=admin)).json()[1]
        log = (await gateway.http.get("/api/admin/audit", headers=admin)).text
    assert (made["tokens_per_day"], made["tokens_today"]) == (1000, 0)
    assert made["expires_at"] == "2099-01-31T00:00:00Z"
    assert changed.status_code == 200
    assert (changed.json()["tokens_per_day"], changed.json()["expires_at"]) == (5, made["expires_at"])
    assert (removed.json()["tokens_per_day"], removed.json()["expires_at"]) == (None, None)
    assert removed.json() == {**listed, "last_used_at": None}
    assert '"key.change","subject":"2","detail":{"tokens_per_day":5}' in log


async def test_a_key_is_refused_from_its_expiry_on(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        admin = bearer(await make_key(gateway, "ops", frozenset({"admin"})))
        anna = await make_key(gateway, "anna", expires_at=datetime(2026, 1, 31, tzinfo=UTC))
        expired = await gateway.http.get(SESSIONS, headers=bearer(anna))
        openai = await gateway.http.get("/v1/models", headers=bearer(anna))
        wrong = await gateway.http.get(SESSIONS, headers=bearer(anna[:-1]))
        await gateway.http.patch(f"{KEYS}/2", json={"expires_at": "1h"}, headers=admin)
        again = await gateway.http.get(SESSIONS, headers=bearer(anna))
    assert (expired.status_code, expired.json()["code"]) == (401, "key_expired")
    assert "expired at 2026-01-31 00:00 UTC" in expired.json()["detail"]
    assert expired.headers["www-authenticate"] == "Bearer"
    assert (openai.status_code, openai.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "expired" in openai.json()["error"]["message"]
    assert (wrong.status_code, wrong.json()["code"]) == (401, "unauthorized")
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("key_id", "body", "status"),
    [
        ("2", {}, 422),
        ("2", {"tokens_per_day": 0}, 422),
        ("2", {"tokens_per_day": 1.5}, 422),
        ("2", {"expires_at": "yesterday"}, 422),
        ("2", {"user": "ben"}, 422),
        ("9", {"tokens_per_day": 1}, 404),
        ("x", {"tokens_per_day": 1}, 422),
    ],
)
async def test_a_change_that_does_not_fit_changes_nothing(
    tmp_path: Path, key_id: str, body: dict[str, Any], status: int
) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        admin = bearer(await make_key(gateway, "ops", frozenset({"admin"})))
        await make_key(gateway, "anna", tokens_per_day=7)
        answer = await gateway.http.patch(f"{KEYS}/{key_id}", json=body, headers=admin)
        listed = (await gateway.http.get(KEYS, headers=admin)).json()[1]
    assert answer.status_code == status
    assert (listed["tokens_per_day"], listed["expires_at"]) == (7, None)
