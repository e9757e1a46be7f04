"""The log line of a reply: its text, and its fields in format `json`."""

from pathlib import Path

import msgspec
import pytest

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, Done, Usage
from gateway.telemetry.logs import JsonLines
from tests.web.gateway_server import served
from transports.scripted import Step

COMPLETE: list[Step] = [[Delta("Hi"), Usage(7, 3, 10), Done("stop", "tiny")]]
BROKEN: list[Step] = [[Delta("Hi")], UpstreamFailed("it broke")]


async def line_of(
    script: list[Step], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> tuple[str, dict[str, object]]:
    caplog.set_level("INFO", "sluice.replies")
    async with served(tmp_path, lambda _: script) as gateway:
        await gateway.events({"content": "Hi"})
    (record,) = [record for record in caplog.records if record.name == "sluice.replies"]
    told: dict[str, object] = msgspec.json.decode(JsonLines().format(record))
    return record.getMessage(), told


async def test_a_reply_has_user_model_tokens_and_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text, told = await line_of(COMPLETE, tmp_path, caplog)
    assert "user local mode sse model tiny: complete (stop), 2 characters, 3 tokens in " in text
    expected = {"user": "local", "mode": "sse", "model": "tiny", "status": "complete", "reason": "stop"}
    counts = {"characters": 2, "prompt_tokens": 7, "completion_tokens": 3, "dialect": "lam"}
    assert {name: told.get(name) for name in expected | counts} == expected | counts
    assert {"stream", "session", "ms", "first_ms"} <= told.keys()
    assert "code" not in told


async def test_a_value_that_a_reply_does_not_have_is_a_dash(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text, told = await line_of([UpstreamFailed("it broke")], tmp_path, caplog)
    assert "model -: failed (upstream_error), 0 characters, - tokens in " in text
    assert ", first after - ms: upstream_error" in text
    assert told.get("model") is None


async def test_a_failed_reply_has_its_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text, told = await line_of(BROKEN, tmp_path, caplog)
    assert text.endswith(": upstream_error: it broke")
    assert (told["level"], told["code"], told["reason"]) == ("warning", "upstream_error", "upstream_error")
