"""The access log: off by default; one line for each request at its end, without secrets."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.telemetry.logs import JsonLines, TextLines
from gateway.web.http.access_log import MAX_ID_CHARS, MAX_PATH_CHARS, AccessLog
from gateway.web.http.asgi import Message, Receive, Scope, Send
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM, served
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "sluice.access")


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    told = [JsonLines().format(record) for record in caplog.records if record.name == "sluice.access"]
    return [msgspec.json.decode(line) for line in told]


async def test_it_is_off_by_default(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        await gateway.http.get("/health")
    assert lines(caplog) == []


async def test_each_request_has_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with served(tmp_path, lambda _: tokens("a ", "b"), log_access=True, root_path="/chat") as gateway:
        key = await make_key(gateway, "anna")
        async with plain_http(gateway.url, headers=bearer(key)) as http:
            found = await http.get(
                "/chat/api/chatbot/sessions?api_key=hidden", headers={"x-request-id": "r-1"}
            )
            streamed = await http.post(STREAM, json={"content": "Hi"})
        refused = await gateway.http.get("/api/chatbot/sessions")
    first, second, third = lines(caplog)
    assert {name: first.get(name) for name in ("method", "path", "status", "user", "bytes", "request")} == {
        "method": "GET",
        "path": "/chat/api/chatbot/sessions",
        "status": 200,
        "user": "anna",
        "bytes": len(found.content),
        "request": "r-1",
    }
    assert (second["path"], second["status"], second["user"]) == (STREAM, 200, "anna")
    assert second["stream"] == streamed.headers["sluice-stream-id"]
    assert "bytes" not in second
    assert (third["status"], third.get("user"), third["bytes"]) == (401, None, len(refused.content))
    assert "hidden" not in str(lines(caplog))


async def test_a_stream_is_logged_at_its_end_and_a_failure_as_500(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        seen.append(len(lines(caplog)))

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    times = iter([1.0, 3.5, 4.0, 4.0])
    await AccessLog(app, lambda: next(times))(_scope("/x"), _receive, _send)
    with pytest.raises(RuntimeError):
        await AccessLog(broken, lambda: next(times))(_scope("/y"), _receive, _send)
    assert seen == [0]
    assert [(line["path"], line["status"], line["ms"]) for line in lines(caplog)] == [
        ("/x", 200, 2500.0),
        ("/y", 500, 0.0),
    ]


async def test_a_line_is_bounded_and_cannot_fake_another(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close"})

    scope = _scope("/\n2026 INFO " + "a" * 10_000, "websocket", [(b"x-request-id", b"\x1b[2J" + b"b" * 1000)])
    await AccessLog(app)(scope, _receive, _send)
    (record,) = [record for record in caplog.records if record.name == "sluice.access"]
    assert len(record.getMessage()) < MAX_PATH_CHARS + MAX_ID_CHARS + 150
    assert TextLines().format(record).isprintable()
    assert lines(caplog)[0]["status"] == 403


def _scope(path: str, kind: str = "http", headers: list[tuple[bytes, bytes]] | None = None) -> dict[str, Any]:
    method = {"method": "GET"} if kind == "http" else {}
    return {"type": kind, "path": path, "headers": headers or [], **method}


async def _receive() -> Message:
    raise AssertionError("nothing is read")


async def _send(message: Message) -> None:
    pass
