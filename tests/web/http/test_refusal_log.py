"""Log lines of refused requests: one for each class and minute, with an example and without secrets."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.contract.errors import NotFound, Unauthorized, Unprocessable
from gateway.telemetry.logs import JsonLines, TextLines
from gateway.web.http.refusal_log import MAX_PATH_CHARS, MAX_REASON_CHARS, PERIOD_S, RefusalLog
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM, served
from tests.web.key_holders import bearer, make_key
from tests.web.sockets.page_socket import page_socket
from transports.scripted import tokens

JSON = {"content-type": "application/json"}
WRONG_KEY = "sk-" + "z" * 43


class Timers:
    """Calls that wait for their time."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        assert delay_s == PERIOD_S
        self.calls.append(call)

    def pass_minute(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


def scope(path: str = "/x") -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": path, "query_string": b"ticket=secret", "headers": []}


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "sluice.refusals")


def records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "sluice.refusals"]


def test_a_class_has_one_line_a_minute_with_its_count_and_last_example(
    caplog: pytest.LogCaptureFixture,
) -> None:
    timers = Timers()
    refusals = RefusalLog(timers.later)
    for number in range(1000):
        refusals.add(scope(f"/{number}"), Unauthorized("The key is unknown."))
    refusals.add(scope("/y"), NotFound("There is nothing here."))
    assert [record.getMessage() for record in records(caplog)] == [
        "refused 1 request with 401 unauthorized: GET /0, user none: The key is unknown.",
        "refused 1 request with 404 not_found: GET /y, user none: There is nothing here.",
    ]
    timers.pass_minute()
    assert [record.getMessage() for record in records(caplog)[2:]] == [
        "refused 999 requests with 401 unauthorized; the last: GET /999, user none: The key is unknown."
    ]
    timers.pass_minute()
    assert (len(records(caplog)), timers.calls) == (3, [])
    refusals.add(scope("/z"), NotFound("There is nothing here."))
    assert (
        records(caplog)[3].getMessage().endswith("404 not_found: GET /z, user none: There is nothing here.")
    )


def test_the_end_of_the_process_logs_what_waits(caplog: pytest.LogCaptureFixture) -> None:
    timers = Timers()
    refusals = RefusalLog(timers.later)
    for _ in range(3):
        refusals.add(scope(), NotFound("There is nothing here."))
    refusals.tell_rest()
    assert records(caplog)[1].getMessage().startswith("refused 2 requests with 404 not_found; the last: ")
    refusals.tell_rest()
    timers.pass_minute()
    assert len(records(caplog)) == 2


def test_a_line_is_bounded_and_cannot_fake_another(caplog: pytest.LogCaptureFixture) -> None:
    refusals = RefusalLog(Timers().later)
    refusals.add(scope("/\n2026 ERROR " + "a" * 10_000), NotFound("b" * 10_000))
    (record,) = records(caplog)
    assert len(record.getMessage()) < MAX_PATH_CHARS + MAX_REASON_CHARS + 100
    assert "\n" not in TextLines().format(record)
    assert "secret" not in JsonLines().format(record)


def test_a_reason_that_may_quote_the_body_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    refusals = RefusalLog(Timers().later)
    refusals.add(scope(), Unprocessable("'my diary' is no model", {"model": "'my diary' is unknown"}))
    (record,) = records(caplog)
    assert record.getMessage().endswith("422 invalid: GET /x, user none: invalid fields: model")


async def test_refused_frames_of_a_web_socket_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        key = await make_key(gateway, "anna")
        async with page_socket(gateway.url) as page:
            await page.send("r1", headers=bearer(key))
            await page.heard("r1")
            await page.send("r2", headers=bearer(WRONG_KEY))
            await page.until("r2", "error")
            await page.send("r3", headers=bearer(key), messages=7)
            await page.until("r3", "error")
            await page.connection.send('{"no": "type"}')
            assert (await page.until_closed())[0] == 1008
    told = [record.getMessage() for record in records(caplog)]
    assert [line.partition(": ")[0] for line in told] == [
        "refused 1 request with 401 unauthorized",
        "refused 1 request with 422 invalid",
        "refused 1 request with 400 bad_frame",
    ]
    assert all("WEBSOCKET /ws, user anna" in line for line in told)


async def test_the_door_and_the_endpoints_log_their_refusals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        page = {"origin": "https://chat.example", "access-control-request-method": "POST"}
        await gateway.http.options(STREAM, headers=page)
        key = await make_key(gateway, "anna", rate_per_minute=6)
        async with plain_http(gateway.url, headers=bearer(key)) as http:
            await http.get("/nowhere?ticket=hidden")
            await http.get("/api/chatbot/sessions/77/messages")
            await http.get(STREAM)
            await http.post(STREAM, json={"content": 5})
            await http.post(STREAM, content=b"x", headers=JSON | {"content-encoding": "br"})
            for _ in range(7):
                await http.get("/api/chatbot/sessions")
        for _ in range(2):
            await gateway.http.get("/api/chatbot/sessions", headers=bearer(WRONG_KEY))
    told = [msgspec.json.decode(JsonLines().format(record)) for record in records(caplog)]
    classes = [(line["status"], line["code"], line["method"]) for line in told]
    assert set(classes) == {
        (403, "cross_origin", "OPTIONS"),
        (404, "not_found", "GET"),
        (405, "method_not_allowed", "GET"),
        (422, "invalid", "POST"),
        (415, "unsupported_encoding", "POST"),
        (429, "rate_limited", "GET"),
        (401, "unauthorized", "GET"),
    }
    (limited,) = [line for line in told if line["code"] == "rate_limited" and line["user"] == "anna"][:1]
    assert (limited["path"], limited["count"]) == ("/api/chatbot/sessions", 1)
    assert sum(line["count"] for line in told if line["code"] == "unauthorized") == 2
    assert "hidden" not in str(told)
    assert WRONG_KEY[3:] not in str(told)
