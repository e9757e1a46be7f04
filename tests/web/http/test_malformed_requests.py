"""A flood of malformed requests is one log line a minute, with their number."""

import logging
from pathlib import Path

import pytest

from gateway.web.http.malformed_requests import MalformedRequests
from tests.web.bare_client import ask
from tests.web.gateway_server import served


def test_a_minute_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    now, uvicorns = [0.0], logging.Logger("uvicorn's")
    uvicorns.addFilter(MalformedRequests(lambda: now[0]))
    uvicorns.addHandler(caplog.handler)
    for now[0] in (0.0, 1.0, 59.0, 60.0):
        uvicorns.warning("Invalid HTTP request received.")
    uvicorns.warning("Something else.")
    assert [record.getMessage() for record in caplog.records] == [
        "1 malformed requests were refused",
        "3 malformed requests were refused",
        "Something else.",
    ]


async def test_uvicorn_logs_the_line_that_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        for _ in range(3):
            answer = await ask(gateway.url, "RUBBISH")
            assert answer.status == 400
    assert "Invalid HTTP request received." not in caplog.text
