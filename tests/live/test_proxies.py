"""Debian's nginx and Caddy with the configurations of deploy/, with and without a path prefix."""

import asyncio
import functools
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta
from gateway.contract.requests import ChatRequest
from tests.live.proxies import PROXIES, Proxy, requires_proxy, running_proxy
from tests.web.event_source import EventSource
from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import bearer, make_key
from tests.web.sockets.page_socket import PageSocket, address
from transports.scripted import Step, tokens

pytestmark = pytest.mark.live

CLIENT = "127.0.0.2"
MEBIBYTE = 1024 * 1024
FORGED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Prefix": "/forged", "Sluice-Relay": "forged"}


@dataclass
class Site:
    """A gateway behind a proxy. held: the model continues when it is set."""

    gateway: Served
    proxy: Proxy
    held: asyncio.Event
    prefix: str


Behind = Callable[..., AbstractAsyncContextManager[Site]]
"""Takes settings of the gateway."""


@asynccontextmanager
async def site_behind(name: str, prefix: str, tmp_path: Path, **settings: Any) -> AsyncIterator[Site]:
    held = asyncio.Event()

    def script(asked: ChatRequest) -> list[Step]:
        if asked.turns[-1].content == "fail":
            return [UpstreamFailed("The model broke.")]
        return [[Delta("first ")], held.wait, *tokens("second ", "third")]

    settings |= {"trusted_proxies": ("127.0.0.1",), "root_path": prefix}
    async with (
        served(tmp_path, script, **settings) as gateway,
        running_proxy(name, gateway.url, tmp_path / "proxy", prefix) as proxy,
    ):
        yield Site(gateway, proxy, held, prefix)


@pytest.fixture(
    params=[
        pytest.param((name, prefix), marks=requires_proxy(name), id=f"{name}{prefix.replace('/', '-')}")
        for name in PROXIES
        for prefix in ("", "/chat")
    ]
)
def behind(request: pytest.FixtureRequest, tmp_path: Path) -> Behind:
    name, prefix = request.param
    return functools.partial(site_behind, name, prefix, tmp_path)


async def read(lines: AsyncIterator[str], source: EventSource, until: Callable[[], bool]) -> None:
    """Read events until `until` holds or the response ends."""
    frame = ""
    async for line in lines:
        frame += f"{line}\n"
        if not line:
            source.take(frame.encode())
            frame = ""
            if until():
                return


async def test_a_token_arrives_before_the_reply_ends(behind: Behind) -> None:
    source = EventSource()
    async with behind() as site, site.proxy.client() as client:
        async with client.stream("POST", STREAM, json={"content": "Hi"}) as response:
            lines = response.aiter_lines()
            await read(lines, source, lambda: source.begun or source.ended)
            first = source.text
            site.held.set()
            await read(lines, source, lambda: source.ended)
        kept = await site.gateway.messages()
    assert first == "first "
    assert source.text == source.ends[0]["full_content"] == kept[-1]["content"] == "first second third"


async def test_a_token_of_a_json_stream_arrives_before_the_reply_ends(behind: Behind) -> None:
    question = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    async with behind() as site, site.proxy.client() as client:
        async with client.stream("POST", "/api/chat", json=question) as response:
            lines = response.aiter_lines()
            first = json.loads(await anext(lines))["message"]["content"]
            site.held.set()
            rest = [json.loads(line) async for line in lines]
        kept = await site.gateway.messages()
        assert first == "first "
        # Caddy 2.6 ends a response properly when its own connection to the gateway breaks.
        assert "".join(line["message"]["content"] for line in rest) == "second third", f"{rest} {kept}"


async def test_a_reader_that_lost_its_connection_continues_behind_its_last_event(behind: Behind) -> None:
    source = EventSource()
    async with behind() as site, site.proxy.client() as client:
        body = {"content": "Hi", "resumable": True}
        async with client.stream("POST", STREAM, json=body) as response:
            await read(response.aiter_lines(), source, lambda: source.begun)
        site.held.set()
        begin = source.told[0]
        assert source.last_id is not None
        headers = {"last-event-id": source.last_id}
        url = httpx.URL(site.proxy.url).join(begin["resume_url"])
        async with client.stream("GET", url, headers=headers) as response:
            await read(response.aiter_lines(), source, lambda: source.ended)
    assert begin["resume_url"].startswith(f"{site.prefix}/messages/")
    assert source.text == "first second third"
    assert source.seqs == sorted(set(source.seqs))


async def test_a_client_that_leaves_stops_its_reply(behind: Behind) -> None:
    """The model is never released: only the proxy's report of the lost client ends the reply."""
    source = EventSource()
    async with behind() as site, site.proxy.client() as client:
        async with client.stream("POST", STREAM, json={"content": "Hi"}) as response:
            await read(response.aiter_lines(), source, lambda: source.begun)
        await site.gateway.transport.idle()


async def test_refusals_and_failures_pass_unchanged(behind: Behind) -> None:
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/chat/completions", {"json": {"messages": [{"role": "user", "content": "fail"}]}}),
        ("POST", STREAM, {"json": {"content": 7}}),
        ("POST", STREAM, {"content": b"{", "headers": {"content-type": "application/json"}}),
        ("POST", "/v1/chat/completions", {"json": {"messages": 7}}),
        ("POST", "/v1/messages", {"json": {"messages": 7}}),
        ("GET", "/api/chatbot/sessions/999", {}),
        ("GET", "/nowhere", {}),
        ("PUT", STREAM, {"json": {}}),
    ]
    async with behind() as site, site.proxy.client() as client:
        for method, path, more in requests:
            direct = await site.gateway.http.request(method, path, **more)
            through = await client.request(method, path, **more)
            assert direct.status_code >= 400, (path, direct.text)
            assert comparable(through) == comparable(direct), path


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
@pytest.mark.parametrize("path", ["/api/chatbot/sessions", STREAM, "/v1/messages"])
async def test_a_body_that_is_too_large_gets_the_gateways_413(
    behind: Behind, path: str, version: str, tmp_path: Path
) -> None:
    """By curl, which speaks HTTP/2 as browsers do."""
    json_type = {"content-type": "application/json"}
    async with behind(max_body_bytes=4 * MEBIBYTE) as site:
        content = b" " * (12 * MEBIBYTE)
        (tmp_path / "body").write_bytes(content)
        direct = await site.gateway.http.post(path, content=content, headers=json_type)
        status = await curl(site.proxy, path, tmp_path / "body", tmp_path / "answer", version)
    assert status == f"413 {version[6:]} {direct.headers['content-type']}"
    assert (tmp_path / "answer").read_bytes() == direct.content


@requires_proxy("nginx")
@pytest.mark.parametrize("prefix", ["", "/chat"])
async def test_nginxs_own_limit_answers_as_json(prefix: str, tmp_path: Path) -> None:
    async with site_behind("nginx", prefix, tmp_path) as site:
        (tmp_path / "body").write_bytes(b" " * (65 * MEBIBYTE))
        status = await curl(site.proxy, STREAM, tmp_path / "body", tmp_path / "answer", "--http2")
    told = json.loads((tmp_path / "answer").read_text())
    assert status == "413 2 application/problem+json"
    assert (told["status"], told["code"]) == (413, "too_large")
    assert told["error"]["message"] == told["detail"]


async def curl(proxy: Proxy, path: str, body: Path, answer: Path, version: str) -> str:
    """Post a file and write the response's body to `answer`. Return status, HTTP version and content type."""
    process = await asyncio.create_subprocess_exec(
        *("curl", version, "--silent", "--show-error", "--noproxy", "*", "--cacert", str(proxy.authority)),
        *("--header", "Content-Type: application/json", "--header", "Accept: application/json"),
        *("--data-binary", f"@{body}", "--output", str(answer)),
        *("--write-out", "%{http_code} %{http_version} %{content_type}", proxy.url + path),
        stdout=PIPE,
        stderr=PIPE,
    )
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return said.decode()


def comparable(response: httpx.Response) -> tuple[int, str, Any]:
    """Return what does not differ between two requests."""
    told = response.json()
    for name in ("instance", "request_id", "requestId"):
        told.pop(name, None)
    return response.status_code, response.headers["content-type"], told


async def test_a_web_socket_streams(behind: Behind) -> None:
    async with (
        behind() as site,
        connect(address(site.proxy.url), ssl=site.proxy.tls, proxy=None) as connection,
    ):
        page = PageSocket(connection)
        await page.send("r1")
        first = await page.until("r1", "text-delta")
        site.held.set()
        heard = await page.heard("r1")
    assert first["chunk"]["delta"] == "first "
    assert heard.text == "first second third"


async def test_the_gateway_learns_the_true_client_and_no_forged_one(behind: Behind) -> None:
    async with behind() as site:
        key = await make_key(site.gateway, "ops", frozenset({"admin", "chat"}))
        async with site.proxy.client(CLIENT, **bearer(key), **FORGED) as client:
            made = await client.post("/api/admin/keys", json={"user": "anna"})
            assert made.status_code == 201, made.text
            audit = (await client.get("/api/admin/audit")).json()
            asked = client.stream("POST", STREAM, json={"content": "Hi", "resumable": True})
            async with asked as response:
                resume_url = response.headers["sluice-resume-url"]
                site.held.set()
    assert CLIENT in json.dumps(audit)
    assert FORGED["X-Forwarded-For"] not in json.dumps(audit)
    assert resume_url.startswith(f"{site.prefix}/messages/")
