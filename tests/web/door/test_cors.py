"""Pages of other origins can do nothing, unless the settings allow their origin."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.settings import SettingsError, load_settings
from gateway.web.door.cors import Cors
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
    assert before.status_code == 403
    assert "set CORS_ORIGINS=http://localhost:3000" in before.json()["detail"]


@pytest.mark.parametrize("keyed", [False, True])
async def test_a_named_origins_preflight_passes_without_a_key(tmp_path: Path, keyed: bool) -> None:
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=(APP,)) as gateway:
        if keyed:
            await make_key(gateway, "anna")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            allowed = await preflight(gateway, APP, method, *HEADERS)
            assert allowed.status_code == 200, (method, allowed.text)
        foreign = await preflight(gateway, EVIL)
    assert allowed.headers["access-control-allow-origin"] == APP
    assert allowed.headers["access-control-allow-credentials"] == "true"
    told = {name.strip().lower() for name in allowed.headers["access-control-allow-headers"].split(",")}
    assert told >= HEADERS
    assert foreign.status_code == 403
    assert f"add {EVIL} to CORS_ORIGINS" in foreign.json()["detail"]
    assert foreign.headers["vary"] == "Origin"
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
        assert exposed >= {
            "Sluice-Stream-Id",
            "Sluice-Resume-Url",
            "Retry-After",
            "RateLimit",
            "RateLimit-Policy",
        }


async def test_everybodys_pages_come_in_without_credentials(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=("*",)) as gateway:
        key = await make_key(gateway, "anna")
        headers = {**bearer(key), "origin": EVIL, "cookie": "sluice_conversation=x"}
        answer = await gateway.http.post("/api/chat/stream", json={"message": "Hi"}, headers=headers)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


OPENAIS = [
    *("authorization", "content-type", "x-stainless-arch", "x-stainless-lang", "x-stainless-os"),
    *("x-stainless-package-version", "x-stainless-retry-count", "x-stainless-runtime"),
    *("x-stainless-runtime-version", "x-stainless-timeout"),
]


@pytest.mark.parametrize("origins", [APP, "*"])
async def test_whatever_headers_a_client_library_adds_are_allowed(tmp_path: Path, origins: str) -> None:
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=(origins,)) as gateway:
        for wanted in (OPENAIS, ["sentry-trace", "baggage"], ["X-Forwarded-For"], ["*"]):
            allowed = await preflight(gateway, APP, "POST", *wanted)
            assert allowed.status_code == 200
            assert allowed.headers["access-control-allow-headers"] == ", ".join(wanted)
        for rubbish in (["a b"], ["a", "", "b"], ["a:b"], ["(a)"]):
            refused = await preflight(gateway, APP, "POST", *rubbish)
            assert refused.status_code == 400, rubbish


@pytest.mark.parametrize(
    ("given", "asks"),
    [
        ("https://app.example/", APP),
        ("HTTPS://App.Example", APP),
        ("https://app.example:443", APP),
        ("https://app.example.:443/", APP),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[0:0:0:0:0:0:0:1]:5173/", "http://[::1]:5173"),
        (f" https://first.example , {APP}/ ", APP),
        ("tauri://localhost", "tauri://localhost"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
    ],
)
async def test_an_origin_is_known_however_the_setting_spells_it(
    tmp_path: Path, given: str, asks: str
) -> None:
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=given) as gateway:
        allowed = await preflight(gateway, asks, "POST", "authorization")
        asked = await gateway.http.post(STREAM, json={"content": "Hi"}, headers={"origin": asks})
    assert (allowed.status_code, asked.status_code) == (200, 200)
    for answer in (allowed, asked):
        assert answer.headers["access-control-allow-origin"] == asks
        assert answer.headers["vary"].startswith("Origin")


@pytest.mark.parametrize(
    "given",
    [
        "app.example",
        "https://",
        "https://a/b",
        "https://a b",
        "null",
        "https://*.example",
        "https://a:x",
        "//a",
    ],
)
def test_what_is_no_origin_is_refused_by_name_at_the_start(given: str) -> None:
    with pytest.raises(SettingsError, match=r"CORS_ORIGINS=.*https://chat\.example"):
        load_settings(_env_file=None, cors_origins=given)


async def test_answers_differ_by_origin_also_for_those_who_have_none(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=(APP,)) as gateway:
        await make_key(gateway, "anna")
        for headers in ({}, {"origin": APP}, {"origin": EVIL}):
            answer = await gateway.http.get("/health", headers=headers)
            assert answer.headers["vary"] == "Origin"
            assert bool(cors_headers(answer)) == (headers == {"origin": APP})


async def test_a_refused_preflight_is_one_log_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0

    async def nobody(*_: object) -> None:
        raise AssertionError("a preflight is answered in front of everything")

    cors = Cors(nobody, (), lambda _: (), clock=lambda: now)

    async def ask(origin: str) -> None:
        headers = [(b"origin", origin.encode()), (b"access-control-request-method", b"POST")]
        scope = {"type": "http", "method": "OPTIONS", "path": STREAM, "headers": headers}
        await cors(scope, never, swallow)

    for number in range(100):
        await ask(f"https://{number}.example")
    assert [record.getMessage() for record in caplog.records] == [
        "web pages of https://0.example may not call this gateway: set CORS_ORIGINS=https://0.example"
    ]
    now = 60.0
    await ask("null")
    assert "CORS_ORIGINS=*" in caplog.records[-1].getMessage()
    assert len(caplog.records) == 2


async def never() -> dict[str, Any]:
    raise AssertionError("a preflight has no body")


async def swallow(_: object) -> None:
    pass


async def test_a_page_may_reach_into_the_private_network_if_it_is_named(tmp_path: Path) -> None:
    asks = {
        "origin": APP,
        "access-control-request-method": "POST",
        "access-control-request-private-network": "true",
    }
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=(APP,)) as gateway:
        allowed = await gateway.http.options(STREAM, headers=asks)
        foreign = await gateway.http.options(STREAM, headers={**asks, "origin": EVIL})
    assert allowed.headers["access-control-allow-private-network"] == "true"
    assert cors_headers(foreign) == []


async def test_options_that_is_no_preflight_is_a_method_like_others(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), cors_origins=(APP,)) as gateway:
        answers = [await gateway.http.options(STREAM, headers=headers) for headers in ({}, {"origin": APP})]
    assert [answer.status_code for answer in answers] == [405, 405]
