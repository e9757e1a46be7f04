"""The mode is switched by the command while a real llama.cpp and a real worker answer."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.house import until
from tests.live.llama_server import requires_llama, running_llama
from tests.live.nursery import forked_sluice
from tests.live.test_gateway import Gateway, running_gateway, running_worker
from tests.web.gateway_server import STREAM, unified_events
from transports.llama.embedded_server import tiny_model_path

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

SLOWLY = ("--tokens-per-s", "20")  # the long reply outlasts the commands that are started meanwhile
LONG: dict[str, Any] = {
    "content": "Tell me about the river.",
    "max_tokens": 2_000,
    "options": {"ignore_eos": True},
}
SHORT: dict[str, Any] = {"content": "Tell me about the river.", "max_tokens": 5}


async def said_by(gateway: Gateway, *arguments: str, code: int = 0) -> str:
    """Run a command of `sluice` at this gateway and return its output."""
    url = str(gateway.http.base_url)
    async with forked_sluice(*arguments, "--url", url) as program:
        assert await program.ended() == code, program.said
        return program.said


async def until_mqtt_can_serve(gateway: Gateway) -> None:
    """Wait until the worker is known. The test has the deadline."""

    async def can_serve() -> bool:
        states = (await gateway.http.get("/api/admin/mode")).json()["modes"]
        return any(state["ok"] for state in states if state["mode"] == "mqtt")

    await until(can_serve, True)


async def mode_of(gateway: Gateway) -> str:
    """Ask, and return the mode of the complete reply."""
    *_, done = await gateway.ask(**SHORT)
    assert (done["type"], done["delivery"]) == ("done", "token"), done
    mode: str = done["mode"]
    return mode


async def test_a_running_gateway_is_switched_and_a_killed_one_starts_in_the_same_mode(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(300),
        running_llama(tiny_model_path(), *SLOWLY) as llama,
        running_mosquitto() as broker,
    ):
        settings = {
            "LLM_SERVER_URL": llama.url,
            "MQTT_BROKER_HOST": broker.address.host,
            "MQTT_BROKER_PORT": str(broker.address.port),
        }
        async with running_gateway(tmp_path, **settings) as gateway:
            refused = await said_by(gateway, "mode", "mqtt", code=1)
            assert "Mode mqtt cannot serve now: no MQTT worker is ready" in refused
            async with running_worker(broker, llama):
                await until_mqtt_can_serve(gateway)
                async with gateway.http.stream("POST", STREAM, json=LONG) as response:
                    events = unified_events(response)
                    metadata, _ = [await anext(events), await anext(events)]
                    assert "mode mqtt (LLM_COMM_MODE=sse)" in await said_by(gateway, "mode", "mqtt")
                    assert await mode_of(gateway) == "mqtt"
                    assert f"{metadata['stream_id']}\tlocal" in await said_by(gateway, "streams", "list")
                    await gateway.http.delete(f"{STREAM}/{metadata['stream_id']}")
                    *_, done = [event async for event in events]
                assert (metadata["mode"], done["mode"], done["reason"]) == ("sse", "sse", "user_stop")
                assert "\tdisabled by local" in await said_by(gateway, "workers", "disable", "w")
                assert (await gateway.http.post(STREAM, json=SHORT)).json()["code"] == "no_worker"
                await said_by(gateway, "workers", "enable", "w")
                assert await mode_of(gateway) == "mqtt"
                gateway.program.process.kill()
                await gateway.program.ended()
                async with running_gateway(tmp_path, **settings) as next_gateway:
                    await next_gateway.program.until_said("the mode is mqtt, by the switch of local")
                    await next_gateway.program.until_said(r"listening on \S+ \(mode mqtt\)")
                    await until_mqtt_can_serve(next_gateway)
                    assert await mode_of(next_gateway) == "mqtt"
                    assert "mode sse" in await said_by(next_gateway, "mode", "--reset")
                    assert await mode_of(next_gateway) == "sse"
