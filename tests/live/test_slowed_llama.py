"""The demo's slowed model server in front of the real llama.cpp: the same answers, at a pace to watch."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.contract.errors import ModelRefused
from gateway.contract.events import Delta, Usage
from gateway.contract.transport import Health
from tests.live.llama_server import (
    LlamaServer,
    asking,
    endlessly,
    exactly,
    random_model,
    requires_llama,
    running_llama,
)
from tests.live.looking import look_again
from tests.reading import events_of, reading
from transports.llama.transport import LlamaTransport

pytestmark = [pytest.mark.live, requires_llama()]

TEXT = "The lamp's light — “yellow”, 🏮 — falls on the river."


@pytest.fixture
async def slow() -> AsyncIterator[LlamaServer]:
    async with running_llama(random_model(), "--tokens-per-s", "200") as server:
        yield server


async def test_the_text_is_the_same_and_its_rate_is_the_one_that_was_asked_for(slow: LlamaServer) -> None:
    transport = LlamaTransport(slow.url)
    async with asyncio.timeout(120):
        assert await transport.health() == Health(True, "the model server is ready")
        assert await transport.total_slots() == 4
        async with reading(transport, exactly(TEXT)) as batches:
            events = [event async for batch in batches for event in batch]
    deltas = [event.text for event in events if isinstance(event, Delta)]
    assert "".join(deltas) == TEXT
    assert len(deltas) > 10
    assert [event.tokens_per_s for event in events if isinstance(event, Usage)] == [200]


async def test_leaving_in_mid_reply_frees_the_slot(slow: LlamaServer) -> None:
    async with asyncio.timeout(120):
        async with reading(LlamaTransport(slow.url), endlessly()) as batches:
            async for _ in batches:
                if await slow.busy_slots():
                    break
        while await slow.busy_slots():
            await look_again()


async def test_a_refusal_keeps_its_status_and_words(slow: LlamaServer) -> None:
    async with asyncio.timeout(120):
        with pytest.raises(ModelRefused, match="grammar"):
            await events_of(LlamaTransport(slow.url), asking("Hi", options={"grammar": "root ::= ("}))
