"""Without keys: which hosts may be asked, whose pages may ask, and that no proxy hands strangers in."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import SettingsError, load_settings
from tests.web.bare_http import ask_bare
from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens

PATHS = [
    "/",
    "/health",
    "/ready",
    "/docs",
    "/openapi.json",
    "/api/metrics",
    "/api/chatbot/sessions",
    "/v1/models",
]
EVERY_OPEN_MODE: list[dict[str, Any]] = [{}, {"allow_open": True}]


@pytest.fixture(scope="module", params=EVERY_OPEN_MODE, ids=["loopback", "ALLOW_OPEN=1"])
async def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("gateway")
    async with served(folder, lambda _: tokens("x"), within_s=600, **request.param) as gateway:
        yield gateway


def get(path: str, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"GET {path} HTTP/{version}", *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")


@pytest.mark.parametrize("path", PATHS)
async def test_a_name_that_was_rebound_to_us_reads_nothing(gateway: Served, path: str) -> None:
    for headers in ({"host": "evil.example:8000"}, {"origin": "http://evil.example"}, {"via": "1.1 proxy"}):
        answer = await gateway.http.get(path, headers=headers)
        assert answer.status_code == 403, (headers, answer.text)


OURS = [
    *(
        "localhost",
        "LOCALHOST:8000",
        "LocalHost.",
        "localhost.:80",
        "localhost:",
        "127.0.0.1",
        "127.0.0.1:65535",
    ),
    *("[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]", "[0000::0001]:1"),
]
FOREIGN = [
    *(
        "",
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "xlocalhost",
    ),
    *("127.0.0.2", "127.1", "0", "0.0.0.0", "2130706433", "0x7f.0.0.1", "10.0.0.1", "[::]", "[::2]"),
    *("[::ffff:127.0.0.1]", "localhost..", "evil.example.", "metadata.google.internal"),
]
MALFORMED = [
    *(
        "localhost:port",
        "localhost:65536",
        "localhost:-1",
        "localhost:80:80",
        "localhost/",
        "localhost/evil.example",
    ),
    *(
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost evil.example",
        "localhost,evil.example",
        ".",
    ),
    *(
        "http://localhost",
        "localhost#",
        "localhost?",
        "localhost\\evil",
        "::1",
        "[::1",
        "::1]",
        "[localhost]",
        "[]",
    ),
    *(
        "[::1]evil.example",
        "[::1%25eth0]",
        "[::1]:x",
        "l\xf6calhost",
        "%6cocalhost",
        "localhost\t\x0b",
        "'",
        "[",
        "*",
    ),
]


@pytest.mark.parametrize("host", OURS)
async def test_our_own_hosts_may_be_asked_however_they_are_spelt(gateway: Served, host: str) -> None:
    assert (await ask_bare(gateway.url, get("/api/metrics", f"Host: {host}"))).status == 200


@pytest.mark.parametrize("host", FOREIGN)
async def test_no_other_host_may_be_asked(gateway: Served, host: str) -> None:
    answer = await ask_bare(gateway.url, get("/api/metrics", f"Host: {host}"))
    assert answer.status == 403
    assert "ALLOWED_HOSTS" in answer.body


@pytest.mark.parametrize("host", MALFORMED)
async def test_what_is_no_host_is_400(gateway: Served, host: str) -> None:
    assert (await ask_bare(gateway.url, get("/api/metrics", f"Host: {host}"))).status == 400


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (get("/health"), 400),
        (get("/health", version="1.0"), 403),
        (get("/health", "Host: localhost", version="1.0"), 200),
        (get("/health", "Host: localhost", "Host: localhost"), 400),
        (get("/health", "Host: localhost", "HOST: evil.example"), 400),
        (get("/health", "Host: evil.example", "Host: localhost"), 400),
        (get("/health", "Host: localhost", "Host: evil.example", version="1.0"), 400),
        # The target's host counts, not the header's. Source: RFC 9112, 3.2.2.
        (get("http://localhost/health", "Host: localhost"), 200),
        (get("http://localhost:8000/health", "Host: evil.example"), 200),
        (get("http://evil.example/health", "Host: localhost"), 403),
        (get("https://evil.example:1/health", "Host: localhost"), 403),
        (get("HTTP://EVIL.example/health?localhost", "Host: localhost"), 403),
        (get("http://localhost@evil.example/health", "Host: localhost"), 400),
        (get("http://evil.example/health"), 400),
        (get("http://localhost", "Host: evil.example"), 200),
        (get("http://localhost?x=1", "Host: evil.example"), 200),
        (get("//evil.example/health", "Host: localhost"), 404),
        (get("evil.example/health", "Host: localhost"), 400),
        (get("ftp://localhost/health", "Host: localhost"), 400),
        (get("*", "Host: localhost"), 404),
        (get("http://", "Host: localhost"), 400),
        (get("http://[/health", "Host: localhost"), 400),
        (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
    ],
    ids=lambda value: repr(value[:70]) if isinstance(value, bytes) else None,
)
async def test_the_host_that_is_asked_for_is_one_and_known(
    gateway: Served, request_head: bytes, status: int
) -> None:
    assert (await ask_bare(gateway.url, request_head)).status == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        *((origin, 200) for origin in ("http://localhost", "https://localhost:1", "http://[::1]:5173")),
        *((origin, 200) for origin in ("http://LOCALHOST:5173", "http://127.0.0.1:80")),
        *((origin, 403) for origin in ("http://evil.example", "http://localhost.evil.example", "null", "")),
        *(
            (origin, 403)
            for origin in ("http://[", "http://]", "http://[::1", "//localhost", "localhost", "file://")
        ),
        *(
            (origin, 403)
            for origin in ("http://evil@localhost", "http://localhost:x", "http://localhost/x", "http://")
        ),
        *(
            (origin, 403)
            for origin in ("chrome-extension://localhost", "http://localhost, http://evil.example")
        ),
        *(
            (origin, 403)
            for origin in ("http://localhost http://evil.example", "http://l\xf6calhost", "http://0")
        ),
    ],
)
async def test_only_pages_of_our_own_hosts_may_ask(gateway: Served, origin: str, status: int) -> None:
    head = get("/api/metrics", "Host: localhost", f"Origin: {origin}")
    assert (await ask_bare(gateway.url, head)).status == status


async def test_every_origin_header_counts(gateway: Served) -> None:
    head = get("/health", "Host: localhost", "Origin: http://localhost", "Origin: http://evil.example")
    assert (await ask_bare(gateway.url, head)).status == 403


FORWARDED = [
    *(
        "Via",
        "Forwarded",
        "Forwarded-For",
        "X-Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "x-forwarded-proto",
    ),
    *(
        "X-Forwarded-Server",
        "X-Forwarded-Prefix",
        "X-Real-IP",
        "CF-Connecting-IP",
        "CF-Connecting-IPv6",
        "CF-Ray",
    ),
    *(
        "True-Client-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "Fastly-Client-IP",
        "Fly-Client-IP",
        "Client-IP",
    ),
    *("X-Remote-Addr", "X-Remote-IP", "X-Originating-IP", "X-ProxyUser-IP", "WL-Proxy-Client-IP", "CDN-Loop"),
    *("X-Original-Forwarded-For", "X-Original-Host", "X-Original-URL", "X-Envoy-External-Address", "X-Host"),
    *("DO-Connecting-IP", "Ali-CDN-Real-IP", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-AppEngine-User-IP"),
    *(
        "X_Forwarded_For",
        "X-Forward-For",
        "Fly-Forwarded-Proto",
        "Fly-Region",
        "X-Rewrite-URL",
        "X-Real-Port",
    ),
    *("X-Varnish", "X-BlueCoat-Via", "X-Amz-Cf-Id", "X-NF-Request-ID", "X-Url-Scheme", "X-Https"),
    *("X-HTTP-Host-Override", "Front-End-Https", "X-Scheme", "Tailscale-User-Login", "Incap-Client-IP"),
]


@pytest.mark.parametrize("name", FORWARDED)
async def test_what_a_proxy_adds_is_403(gateway: Served, name: str) -> None:
    answer = await gateway.http.get("/api/metrics", headers={name: "127.0.0.1"})
    assert answer.status_code == 403
    assert "TRUSTED_PROXIES" in answer.json()["detail"]


@pytest.mark.parametrize(
    "name", ["X-Request-ID", "Device", "Viable", "Description", "X-Api-Version", "DNT", "TE"]
)
async def test_what_clients_send_themselves_is_no_proxys(gateway: Served, name: str) -> None:
    assert (await gateway.http.get("/api/metrics", headers={name: "127.0.0.1"})).status_code == 200


async def test_a_trusted_proxy_may_hand_requests_on_but_not_for_every_host(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"trusted_proxies": ("127.0.0.1",), "allowed_hosts": ("chat.example",)}
    forwarded = {"x-forwarded-for": "10.0.0.1", "via": "1.1 nginx"}
    async with served(tmp_path, lambda _: tokens("x"), **settings) as gateway:
        ours = await gateway.http.get("/ready", headers={"host": "chat.example", **forwarded})
        foreign = await gateway.http.get("/ready", headers={"host": "evil.example", **forwarded})
        origin = {"host": "chat.example", "origin": "https://evil.example"}
        page = await gateway.http.get("/ready", headers={**origin, **forwarded})
    assert [answer.status_code for answer in (ours, foreign, page)] == [200, 403, 403]


async def test_allowed_hosts_are_asked_and_their_pages_ask(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"allow_open": True, "allowed_hosts": " Chat.Example. , 10.0.0.7,::2"}
    async with served(tmp_path, lambda _: tokens("x"), **settings) as gateway:
        for host in ("chat.example", "CHAT.example:8443", "10.0.0.7:8000", "[::2]"):
            headers = {"host": host, "origin": f"https://{host}"}
            asked = await gateway.http.post(STREAM, json={"content": "x"}, headers=headers)
            assert asked.status_code == 200, asked.text
        refused = await gateway.http.get("/health", headers={"host": "localhost"})
    assert refused.status_code == 403
    assert "localhost" in refused.json()["detail"]


async def test_with_keys_hosts_origins_and_proxies_are_not_asked_about(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        key = bearer(await make_key(gateway, "anna"))
        headers = {"host": "chat.example", "origin": "https://evil.example", "via": "1.1 nginx"}
        asked = await gateway.http.post(STREAM, json={"content": "x"}, headers={**key, **headers})
        twice = await ask_bare(gateway.url, get("/health", "Host: chat.example", "Host: chat.example"))
    assert (asked.status_code, twice.status) == (200, 400)


@pytest.mark.parametrize(
    "given",
    [
        "*",
        "*.example",
        "http://chat.example",
        "chat.example:8000",
        "[::1]:80",
        "a b",
        "a/b",
        " , ",
        "",
        "[::",
    ],
)
def test_what_is_no_host_is_refused_by_name_at_the_start(given: str) -> None:
    with pytest.raises(SettingsError, match=r"ALLOWED_HOSTS=.*commas"):
        load_settings(_env_file=None, allowed_hosts=given)


def test_this_machine_is_what_may_be_asked_unless_something_else_is_said() -> None:
    assert load_settings(_env_file=None).allowed_hosts == ("localhost", "127.0.0.1", "[::1]")
