"""A gateway and a worker under names that a real Mosquitto's ACL forbids to their users."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import requires_mosquitto
from tests.live.guarded import Guarded, guarded_broker
from tests.live.nursery import forked_sluice
from tests.live.test_gateway import running_gateway
from tests.plain_http import plain_http

pytestmark = [pytest.mark.live, requires_mosquitto()]


def as_user(guarded: Guarded, name: str, protocol: str) -> dict[str, str]:
    return {
        "MQTT_BROKER_HOST": guarded.address.host,
        "MQTT_BROKER_PORT": str(guarded.address.port),
        "MQTT_USERNAME": name,
        "MQTT_PASSWORD": (guarded.folder / f"{name}.password").read_text(),
        "MQTT_PROTOCOL": protocol,
    }


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_gateway_under_a_forbidden_name_says_so_in_log_and_ready(
    tmp_path: Path, protocol: str
) -> None:
    async with guarded_broker(tmp_path, "gateway") as (guarded, _):
        settings = as_user(guarded, "gateway", protocol)
        async with running_gateway(
            tmp_path, LLM_COMM_MODE="mqtt", GATEWAY_NAME="other", **settings
        ) as gateway:
            await gateway.program.until_said("MQTT_USERNAME=gateway publish as GATEWAY_NAME=other")
            told = await gateway.http.get("/ready")
            assert told.status_code == 503
            assert "GATEWAY_NAME=other" in told.text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_worker_under_a_forbidden_name_says_so_in_log_and_ready(
    tmp_path: Path, protocol: str
) -> None:
    async with guarded_broker(tmp_path, "worker-1") as (guarded, _):
        command = (
            "worker", "--name", "other", "--llm-url", "http://127.0.0.1:1", "--health-port", "0",
            "--broker", f"{guarded.address.host}:{guarded.address.port}",
        )  # fmt: skip
        async with forked_sluice(*command, cwd=None, **as_user(guarded, "worker-1", protocol)) as program:
            url = (await program.until_said(r"(http://127\.0\.0\.1:[2-9]\d+)"))[1]
            await program.until_said("MQTT_USERNAME=worker-1 publish as --name=other")
            async with plain_http() as http:
                told: dict[str, Any] = json.loads((await http.get(f"{url}/ready")).text)
            assert "--name=other" in told["problem"]
