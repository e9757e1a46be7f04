"""Simulated parts with the shipped settings of Mosquitto, where a client's id is its username."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import requires_mosquitto
from tests.live.guarded import guarded_broker
from tests.live.looking import look_again
from tests.live.test_gateway import running_gateway
from tests.live.test_mqtt_names import as_user

pytestmark = [pytest.mark.live, requires_mosquitto()]


async def played(tmp_path: Path, part: str, protocol: str, rights: str = "") -> tuple[dict[str, Any], str]:
    """Play a part to its end. Return its last event, and all that the gateway has said."""
    async with asyncio.timeout(120), guarded_broker(tmp_path, "gateway") as (guarded, broker):
        if rights:
            acl = tmp_path / "acl"
            acl.write_text(acl.read_text() + f"user gateway\ntopic readwrite {rights}\n")
            broker.reload()
        settings = as_user(guarded, "gateway", protocol)
        async with running_gateway(
            tmp_path, LLM_COMM_MODE="mqtt", GATEWAY_NAME="gateway", **settings
        ) as gateway:
            while (await gateway.http.get("/ready")).json().get("broker") != "connected":
                await look_again()
            frames = (await gateway.http.post("/api/admin/simulator", json={"part": part}, timeout=100)).text
            await gateway.program.end(signal.SIGTERM)
    ended: dict[str, Any] = json.loads(frames.strip().split("data: ")[-1])
    return ended, gateway.program.said


@pytest.mark.parametrize("part", ["device", "worker"])
async def test_a_part_without_rights_is_refused_before_it_takes_the_gateways_connection(
    tmp_path: Path, part: str
) -> None:
    ended, said = await played(tmp_path, part, "5")
    assert (ended["type"], ended["reason"]) == ("ended", "failed")
    assert ended["message"].startswith(
        "The broker does not let the gateway's MQTT user publish on sluice/v1/"
    )
    assert "no MQTT broker" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("part", "protocol"), [("device", "3.1.1"), ("worker", "3.1.1"), ("device", "5"), ("worker", "5")]
)
async def test_a_part_ends_when_it_and_the_gateway_end_each_others_connection(
    tmp_path: Path, part: str, protocol: str
) -> None:
    rights = "sluice/v1/#" if protocol == "5" else ""
    ended, said = await played(tmp_path, part, protocol, rights)
    assert ended["reason"] == "failed"
    assert ended["message"].startswith("The broker closed the part's connection. ")
    assert "Traceback" not in said
