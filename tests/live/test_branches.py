"""Another reply, and the rest of one that was cut by `length`, from a real model over HTTP and over MQTT."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.llama_server import requires_llama, running_llama
from tests.live.test_gateway import running_gateway
from tests.live.worker_program import worker
from tests.web.gateway_server import unified_events
from transports.llama.embedded_server import tiny_model_path

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

GREEDY: dict[str, Any] = {"temperature": 0, "seed": 1}


@pytest.mark.parametrize("mode", ["sse", "mqtt"])
async def test_a_cut_reply_goes_on_where_it_ended(tmp_path: Path, mode: str) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as llama,
        running_mosquitto() as broker,
        worker(broker, llama.url),
        running_gateway(
            tmp_path,
            LLM_COMM_MODE=mode,
            LLM_SERVER_URL=llama.url,
            MQTT_BROKER_HOST="127.0.0.1",
            MQTT_BROKER_PORT=str(broker.address.port),
        ) as gateway,
    ):
        await gateway.until_ready()
        cut = await gateway.ask(content="Tell me about the boat.", max_tokens=5, **GREEDY)
        id, session_id = cut[-1]["assistant_message_id"], cut[0]["session_id"]
        url = f"/api/chatbot/messages/{id}"
        async with gateway.http.stream("POST", f"{url}/continue", json=GREEDY) as response:
            assert response.status_code == 200, await response.aread()
            rest = [event async for event in unified_events(response)]
        row = await gateway.kept(rest[-1], session_id)
        async with gateway.http.stream("POST", f"{url}/regenerate", json=GREEDY) as response:
            other = [event async for event in unified_events(response)]
    first, more = cut[-1]["full_content"], rest[-1]["full_content"]
    new = "".join(event["content"] for event in rest if event["type"] == "chunk")
    assert (cut[-1]["reason"], rest[-1]["reason"]) == ("length", "stop")
    assert first
    assert new
    assert first + new == more == row["content"]
    assert row["usage"]["completion_tokens"] > cut[-1]["usage"]["completion_tokens"] == 5
    assert other[-1]["full_content"].startswith(more)
    assert other[0]["assistant_message_id"] > id
