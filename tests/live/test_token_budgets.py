"""Budgets of keys with a real model: counted as the model counts, and kept when the gateway is killed."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.live.llama_server import requires_llama, running_llama
from tests.live.test_gateway import Gateway, running_gateway
from tests.live.test_keys import made_key, said_by
from tests.web.gateway_server import STREAM
from tests.web.key_holders import bearer
from transports.llama.embedded_server import tiny_model_path

pytestmark = [pytest.mark.live, requires_llama()]

QUESTION: dict[str, Any] = {"content": "Tell me about the boat.", "max_tokens": 5, "temperature": 0}


async def usage_of(gateway: Gateway) -> int:
    return sum(day["total_tokens"] for day in (await gateway.http.get("/api/chatbot/usage")).json())


async def test_the_count_is_the_models_and_outlives_a_killed_gateway(tmp_path: Path) -> None:
    key = await made_key(tmp_path, "anna", "--tokens-per-day", "1")
    async with asyncio.timeout(120), running_llama(tiny_model_path()) as llama:
        settings = {"LLM_COMM_MODE": "sse", "LLM_SERVER_URL": llama.url}
        async with running_gateway(tmp_path, **settings) as gateway:
            gateway.http.headers.update(bearer(key))
            await gateway.ask(**QUESTION)
            used = await usage_of(gateway)
            assert used > 5
            await gateway.program.end(signal.SIGKILL)
        async with running_gateway(tmp_path, **settings) as gateway:
            gateway.http.headers.update(bearer(key))
            refused = await gateway.http.post(STREAM, json=QUESTION, headers={"accept": "application/json"})
            assert (refused.status_code, refused.json()["code"]) == (429, "token_budget_exceeded")
            assert f"\t{used} of 1 tokens today\t" in await said_by(tmp_path, "keys", "list")
            assert "is changed" in await said_by(tmp_path, "keys", "set", "1", "--tokens-per-day", "none")
