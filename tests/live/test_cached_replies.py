"""The response cache in front of real model servers, over HTTP and behind a real broker."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.llama_server import requires_llama, running_llama
from tests.live.test_gateway import running_gateway
from tests.live.worker_program import worker
from transports.llama.embedded_server import tiny_model_path

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

QUESTION: dict[str, Any] = {"content": "Say it.", "options": {"grammar": 'root ::= "said once"'}}


@pytest.mark.parametrize("mode", ["sse", "mqtt"])
async def test_the_model_makes_the_same_reply_once(tmp_path: Path, mode: str) -> None:
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
            CACHE_TTL_S="60",
        ) as gateway,
    ):
        await gateway.until_ready()
        first = await gateway.ask(**QUESTION)
        made = await llama.figure("tokens_predicted_total")
        second = await gateway.ask(**QUESTION)
        row = await gateway.kept(second[-1], second[0]["session_id"])
        assert await llama.figure("tokens_predicted_total") == made
    assert [event["full_content"] for event in (first[-1], second[-1])] == ["said once", "said once"]
    assert [event["delivery"] for event in (first[-1], second[0], second[-1])] == [
        "token",
        "cached",
        "cached",
    ]
    assert second[-1]["usage"]["total_tokens"] == first[-1]["usage"]["total_tokens"]
    assert (second[0]["mode"], row["delivery"]) == (mode, "cached")
