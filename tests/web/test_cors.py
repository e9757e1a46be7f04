"""What pages of other origins may do: nothing, unless their origin is named."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens

APP = "https://app.example"
EVIL = "https://evil.example"
HEADERS = {
    *("authorization", "x-api-key", "content-type", "last-event-id", "idempotency-key"),
    *("sluice-resumable", "sluice-session"),
}


async def preflight(gateway: Served, origin: str, method: str = "POST", *headers: str) -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": method}
    if headers:
        asked["access-control-request-headers"] = ", ".join(headers)
    return await gateway.http.options(STREAM, headers=asked)


def cors_headers(response: httpx.Response) -> list[str]:
    return [name for name in response.headers if name.startswith("access-control-")]


async def test_without_origins_no_page_is_let_in(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        key = await make_key(gateway, "anna")
        asked = await gateway.http.post(
            STREAM, json={"content": "Hi"}, headers={**bearer(key), "origin": "http://localhost:3000"}
        )
        before = await preflight(gateway, "http://localhost:3000")
    assert cors_headers(asked) == cors_headers(before) == []
    assert before.status_code >= 400


@pytest.mark.parametrize("keyed", [False, True])
async def test_a_named_origins_preflight_passes_without_a_key(tmp_path: Path, keyed: bool) -> None:
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=(APP,)) as gateway:
        if keyed:
            await make_key(gateway, "anna")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            allowed = await preflight(gateway, APP, method, *HEADERS)
            assert allowed.status_code == 200, (method, allowed.text)
        unknown = await preflight(gateway, APP, "POST", "x-forwarded-for")
        foreign = await preflight(gateway, EVIL)
    assert allowed.headers["access-control-allow-origin"] == APP
    assert allowed.headers["access-control-allow-credentials"] == "true"
    told = {name.strip().lower() for name in allowed.headers["access-control-allow-headers"].split(",")}
    assert told >= HEADERS
    assert unknown.status_code == 400
    assert foreign.status_code == 400
    assert "access-control-allow-origin" not in foreign.headers


async def test_what_a_page_may_read_is_exposed_also_of_refusals(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"cors_origins": (APP,), "rate_per_minute": 1}
    async with served(tmp_path, lambda _: tokens("x"), **settings) as gateway:
        headers = {**bearer(await make_key(gateway, "anna")), "origin": APP}
        answers = [await gateway.http.post(STREAM, json={"content": "Hi"}, headers=headers) for _ in range(2)]
        nobody = await gateway.http.post(STREAM, json={"content": "Hi"}, headers={"origin": APP})
    assert [answer.status_code for answer in [*answers, nobody]] == [200, 429, 401]
    for answer in [*answers, nobody]:
        assert answer.headers["access-control-allow-origin"] == APP
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed >= {"Sluice-Stream-Id", "Sluice-Resume-Url", "Retry-After"}


async def test_everybodys_pages_come_in_without_credentials(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=("*",)) as gateway:
        key = await make_key(gateway, "anna")
        headers = {**bearer(key), "origin": EVIL, "cookie": "sluice_conversation=x"}
        answer = await gateway.http.post("/api/chat/stream", json={"message": "Hi"}, headers=headers)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
