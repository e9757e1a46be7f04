"""Health, readiness, sessions, the page and the API's description."""

import asyncio
import base64
import hashlib
import html
import re
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from gateway.contract.transport import Health
from gateway.web.api.pages import address_of
from tests.web.gateway_server import served
from tests.web.key_holders import make_key
from transports.scripted import tokens

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_health_says_the_process_lives(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        response = await gateway.http.get("/health")
    assert (response.status_code, response.json()["status"]) == (200, "ok")


async def test_ready_when_the_mode_can_serve(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        response = await gateway.http.get("/ready")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "mode": "sse", "detail": "scripted"}


async def test_not_ready_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ill() -> Health:
        return Health(False, "llama.cpp does not answer")

    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        monkeypatch.setattr(gateway.transport, "health", ill)
        response = await gateway.http.get("/ready")
        page = await gateway.http.get("/", headers=HTML)
    assert response.status_code == 503
    assert response.json()["missing"] == ["mode sse: llama.cpp does not answer"]
    assert "llama.cpp does not answer" in page.text


async def test_sessions_are_listed_latest_first(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        created = await gateway.http.post("/api/chatbot/sessions", json={"title": "Mine"})
        untitled = await gateway.http.post("/api/chatbot/sessions")
        await gateway.events({"content": "first words", "session_id": untitled.json()["id"]})
        await gateway.events({"content": "more", "session_id": created.json()["id"]})
        listed = (await gateway.http.get("/api/chatbot/sessions")).json()
        found = (await gateway.http.get("/api/chatbot/sessions?q=WORDS")).json()
    assert created.status_code == 201
    assert [session["title"] for session in listed] == ["Mine", "first words"]
    assert [session["id"] for session in found] == [untitled.json()["id"]]
    times = {"created_at", "updated_at"}
    assert set(created.json()) == {"id", "uuid", "key", "title", "leaf_id", "live", "room", *times}


async def test_messages_are_paged_by_id(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        for content in ("one", "two"):
            await gateway.events({"content": content, "session_id": 1 if content == "two" else None})
        path = "/api/chatbot/sessions/1/messages"
        first = (await gateway.http.get(f"{path}?limit=3")).json()
        rest = (await gateway.http.get(f"{path}?after={first[-1]['id']}")).json()
    assert [message["content"] for message in [*first, *rest]] == ["one", "x", "two", "x"]


async def test_the_page_says_what_runs_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        page = await gateway.http.get("/", headers=HTML)
        docs = await gateway.http.get("/docs")
        assets = [
            await gateway.http.get(f"/{path}")
            for path in re.findall(r'(?:src|href)="(docs/[^"]+)"', docs.text)
        ]
    assert "Sluice" in page.text
    assert 'href="/docs"' in page.text
    assert "{{" not in page.text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text + docs.text)
    assert [asset.status_code for asset in assets] == [200] * 3


async def test_pages_run_nothing_but_their_own_files(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        pages = [await gateway.http.get(path, headers=HTML) for path in ("/", "/docs")]
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert not re.search(r"<script>|<script [^>]*>[^<]|\son\w+=|\sstyle=", page.text)
    for style in re.findall(r"<style>(.*?)</style>", pages[0].text, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in pages[0].headers["content-security-policy"]


def command_on(page: str) -> str:
    """The command that the page shows, as a browser copies it."""
    (shown,) = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    return html.unescape(shown)


async def test_the_command_on_the_page_works_when_it_is_pasted(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("It ", "flows.")) as gateway:
        command = command_on((await gateway.http.get("/", headers=HTML)).text)
        curl = await asyncio.create_subprocess_exec("sh", "-c", command, stdout=PIPE, stderr=DEVNULL)
        said, _ = await curl.communicate()
    assert f"curl -N {gateway.url}/messages/stream" in command
    assert '"full_content":"It flows."' in said.decode()


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"host": "localhost:9000"}, "http://localhost:9000"),
        ({"host": "[::1]:9000"}, "http://[::1]:9000"),
        ({"host": "chat.example", "x-forwarded-proto": "https"}, "https://chat.example"),
        ({}, "http://127.0.0.1:8000"),
        ({"host": "$(reboot)"}, "http://127.0.0.1:8000"),
        ({"host": "x'; reboot; '"}, "http://127.0.0.1:8000"),
    ],
)
def test_the_page_shows_the_address_that_its_visitor_used(headers: dict[str, str], address: str) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"scheme": "http", "server": ("127.0.0.1", 8000), "headers": raw}
    assert address_of(scope) == address
    assert address_of({**scope, "root_path": "/sluice"}) == f"{address}/sluice"


def test_a_listener_of_ipv6_is_shown_as_a_url() -> None:
    assert address_of({"scheme": "http", "server": ("::1", 8000), "headers": []}) == "http://[::1]:8000"


async def test_where_a_key_is_needed_the_command_says_so(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        before = command_on((await gateway.http.get("/", headers=HTML)).text)
        await make_key(gateway, "anna")
        after = command_on((await gateway.http.get("/", headers=HTML)).text)
    assert "Authorization" not in before
    assert "-H 'Authorization: Bearer YOUR_API_KEY' \\\n" in after


@pytest.mark.parametrize("accept", ["*/*", "", "application/json", "text/html;q=0", "text/htmlx"])
async def test_clients_that_are_no_browsers_get_ollamas_line(tmp_path: Path, accept: str) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        got = await gateway.http.get("/", headers={"Accept": accept})
        head = await gateway.http.head("/", headers={"Accept": accept})
        page = await gateway.http.head("/", headers=HTML)
    assert (got.text, got.headers["content-type"]) == ("Ollama is running", "text/plain; charset=utf-8")
    assert (head.status_code, head.headers["content-length"]) == (200, "17")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (got.headers["vary"], page.headers["vary"]) == ("Accept", "Accept")
