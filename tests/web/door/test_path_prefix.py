"""Behind a proxy that offers the gateway under a path: every link begins with it."""

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import make_key
from transports.scripted import tokens

FORWARDED = httpx.Headers({"x-forwarded-prefix": "/chat"})
LOCAL = ("127.0.0.1",)


async def links_of(gateway: Served, headers: httpx.Headers | None = None) -> list[str]:
    """Every link that the gateway tells."""
    asked = await gateway.http.post(STREAM, json={"content": "Hi", "resumable": True}, headers=headers)
    metadata = json.loads(re.findall(r"^data: (.*)$", asked.text, re.MULTILINE)[0])
    again = await gateway.http.get(f"{STREAM}/{metadata['stream_id']}", headers=headers)
    told_again = json.loads(re.findall(r"^data: (.*)$", again.text, re.MULTILINE)[0])
    ticket = await gateway.http.post("/api/chatbot/sessions/1/ticket", headers=headers)
    page_headers = httpx.Headers(headers)
    page_headers["accept"] = "text/html"
    page = (await gateway.http.get("/", headers=page_headers)).text
    return [
        metadata["resume_url"],
        asked.headers["sluice-resume-url"],
        told_again["resume_url"],
        again.headers["sluice-resume-url"],
        ticket.json()["url"],
        *re.findall(r'href="([^"]+)"', page),
    ]


async def test_with_a_root_path_every_link_begins_with_it(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), root_path="/a/chat") as gateway:
        links = await links_of(gateway)
        page = (await gateway.http.get("/a/chat/", headers={"Accept": "text/html"})).text
        for link in links:
            if "/events" not in link:
                assert (await gateway.http.get(link)).status_code == 200, link
    assert [link for link in links if not link.startswith("/a/chat/")] == []
    assert "/a/chat/messages/stream" in page


async def test_requests_come_with_the_root_path_or_without(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), root_path="/chat") as gateway:
        for path in ("/health", "/api/chatbot/sessions", "/v1/models", "/docs", "/openapi.json", "/"):
            for asked in (path, f"/chat{path}"):
                assert (await gateway.http.get(asked)).status_code == 200, asked
        assert (await gateway.events({"content": "Hi"}, f"/chat{STREAM}"))[-1]["type"] == "done"
        bare = await gateway.http.get("/chat")
        neighbour = await gateway.http.get("/chatter/health")
        wrong = await gateway.http.put("/chat/health", json={})
        described = (await gateway.http.get("/chat/openapi.json")).json()
    assert (bare.status_code, neighbour.status_code) == (200, 404)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert described["servers"] == [{"url": "/chat"}]


async def test_a_trusted_proxy_says_the_prefix(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), trusted_proxies=LOCAL) as gateway:
        links = await links_of(gateway, FORWARDED)
        described = (await gateway.http.get("/openapi.json", headers=FORWARDED)).json()
        plain = (await gateway.http.get("/openapi.json")).json()
    assert [link for link in links if not link.startswith("/chat/")] == []
    assert described["servers"] == [{"url": "/chat"}]
    assert "servers" not in plain


async def test_each_reader_is_told_its_own_prefix(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), trusted_proxies=LOCAL) as gateway:
        asked = await gateway.http.post(STREAM, json={"content": "Hi", "resumable": True}, headers=FORWARDED)
        path = f"{STREAM}/{asked.headers['sluice-stream-id']}"
        plain = await gateway.http.get(path)
        other = await gateway.http.get(path, headers={"x-forwarded-prefix": "/other"})
    assert plain.headers["sluice-resume-url"].startswith(STREAM)
    assert f'"resume_url":"{STREAM}' in plain.text
    assert f'"resume_url":"/other{STREAM}' in other.text


async def test_nobody_else_says_a_prefix(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), trusted_proxies=("10.0.0.1",)) as gateway:
        gateway.http.headers["authorization"] = f"Bearer {await make_key(gateway, 'anna')}"
        links = await links_of(gateway, FORWARDED)
    assert [link for link in links if "chat/" in link and not link.startswith("/api/chatbot")] == []


@pytest.mark.parametrize(
    "prefix",
    [
        "//evil.example",
        "/a b",
        "chat",
        "/<b>",
        "http://x",
        "/é",
        "/a//b",
        "\\x",
        "/..",
        "/a/./b",
        "/../..",
        "/a/..",
        "/" + "a" * 256,
        "/a," * 200,
    ],
)
async def test_a_prefix_that_is_no_path_is_ignored(tmp_path: Path, prefix: str) -> None:
    async with served(tmp_path, lambda _: tokens("x"), trusted_proxies=LOCAL) as gateway:
        links = await links_of(gateway, httpx.Headers([(b"x-forwarded-prefix", prefix.encode())]))
    assert links[0].startswith(STREAM)
    assert links[-1] == "/api/chatbot/sessions"


async def test_prefixes_of_several_proxies_are_joined(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), trusted_proxies=LOCAL) as gateway:
        links = await links_of(gateway, httpx.Headers({"x-forwarded-prefix": "/outer, /inner/"}))
    assert links[0].startswith(f"/outer/inner{STREAM}")


async def test_a_slash_at_the_end_is_404_and_no_redirect_to_another_scheme(tmp_path: Path) -> None:
    """Behind TLS it would lead to http://, and clients send their key along."""
    async with served(tmp_path, lambda _: tokens("x"), root_path="/chat") as gateway:
        for path in ("/chat/api/chatbot/sessions/", "/docs/", "/health/", f"{STREAM}/", "/v1/models/"):
            answer = await gateway.http.get(path)
            assert answer.status_code in (200, 404), path
            assert "location" not in answer.headers
