"""Malformed requests are lines of the refusal log, and not of uvicorn."""

import logging
from asyncio import CancelledError
from pathlib import Path

import pytest

from gateway.web.http.malformed_requests import MalformedRequests
from tests.web.bare_client import ask
from tests.web.gateway_server import served


def test_other_lines_of_uvicorn_stay(caplog: pytest.LogCaptureFixture) -> None:
    uvicorns = logging.Logger("uvicorn's")
    uvicorns.addFilter(MalformedRequests())
    uvicorns.addHandler(caplog.handler)
    uvicorns.warning("Invalid HTTP request received.")
    uvicorns.warning("Something else.")
    uvicorns.error("Exception in ASGI application\n", exc_info=CancelledError("timeout"))
    assert [record.getMessage() for record in caplog.records] == ["Something else."]


async def test_a_malformed_request_is_a_refusal_without_method_and_path(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sluice.refusals")
    async with served(tmp_path, lambda _: []) as gateway:
        for _ in range(3):
            answer = await ask(gateway.url, "RUBBISH")
            assert answer.status == 400
    told = [record.getMessage() for record in caplog.records if record.name == "sluice.refusals"]
    assert told[0].startswith("refused 1 request with 400 bad_request: - -, user none: ")
    assert told[1].startswith("refused 2 requests with 400 bad_request; the last: - -, user none: ")
    assert "Invalid HTTP request received." not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")
    )
