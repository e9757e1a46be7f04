"""The output of `sluice` when a setting is wrong or the model server is unreachable."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.live.nursery import forked_sluice
from tests.live.test_gateway import running_gateway

pytestmark = pytest.mark.live


async def test_an_absent_model_server_is_named_in_the_log_and_in_ready(tmp_path: Path) -> None:
    said = "LLM_SERVER_URL=http://127.0.0.1:1: no connection to 127.0.0.1:1: Connection refused"
    async with (
        asyncio.timeout(120),
        running_gateway(tmp_path, LLM_SERVER_URL="http://127.0.0.1:1/v1/") as gateway,
    ):
        await gateway.program.until_said(said)
        ready = await gateway.http.get("/ready")
    assert ready.status_code == 503
    assert said in ready.text
    assert gateway.program.said.count(said) == 1


async def test_nothing_is_said_of_it_where_it_is_not_asked(tmp_path: Path) -> None:
    broker = {"MQTT_BROKER_HOST": "127.0.0.1", "MQTT_BROKER_PORT": "1", "LLM_COMM_MODE": "mqtt"}
    async with (
        asyncio.timeout(120),
        running_gateway(tmp_path, LLM_SERVER_URL="http://127.0.0.1:1", **broker) as gateway,
    ):
        assert (await gateway.http.get("/ready")).status_code == 503
    assert "LLM_SERVER_URL" not in gateway.program.said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite+aiosqlite:///{folder}/nowhere/sluice.db"),
        ("DATABASE_URL", "sqlite+aiosqlite:///{folder}"),
        ("DATABASE_URL", "nonsense"),
        ("LLM_SERVER_URL", "http://llama:8080/v1/chat/completions"),
        ("GATEWAY_NAME", "my box"),
        ("HOST", "nohost.invalid"),
    ],
)
async def test_a_wrong_setting_is_one_line_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    settings = {"PORT": "0", "MQTT_BROKER_HOST": "127.0.0.1", "MQTT_BROKER_PORT": "1"}
    settings[name] = value.format(folder=tmp_path)
    mode = os.stat(tmp_path).st_mode
    async with asyncio.timeout(120), forked_sluice("serve", cwd=None, **settings) as program:
        assert await program.ended() not in (0, 1)
    lines = [line for line in program.said.splitlines() if "broker" not in line]
    assert len(lines) == 1
    assert name in lines[0]
    assert os.stat(tmp_path).st_mode == mode
