"""A server whose first frame is an error: the reply fails at once with its words, and nothing is heard."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.contract.errors import ContextExceeded, GatewayError, UpstreamFailed
from gateway.contract.events import TransportEvent
from gateway.contract.requests import ChatRequest, Turn
from tests.transports.llama.raw_server import Ending, RawServer, raw_server
from transports.llama.transport import LlamaTransport

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
OUT_OF_MEMORY = b'data: {"error":{"code":500,"message":"out of memory","type":"server_error"}}\n\n'
TOO_LONG = (
    b'data: {"error":{"code":400,"message":"the prompt is too long","type":"exceed_context_size_error"}}\n\n'
)
READS = {
    "with the head": [HEAD + OUT_OF_MEMORY],
    "in a read of its own": [HEAD, OUT_OF_MEMORY],
    "in two reads": [HEAD, OUT_OF_MEMORY[:20], OUT_OF_MEMORY[20:]],
    "behind a ping": [HEAD, b":\n\n", OUT_OF_MEMORY],
    "before text": [HEAD, OUT_OF_MEMORY + b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'],
}


@pytest.fixture
async def raw() -> AsyncIterator[RawServer]:
    async with raw_server() as server:
        yield server


async def failure(raw: RawServer) -> GatewayError:
    """How a reply of this server fails; nothing may be heard of it before."""

    def hear(events: Sequence[TransportEvent]) -> None:
        raise AssertionError(f"heard {events}")

    async with asyncio.timeout(30):
        with pytest.raises(GatewayError) as failed:
            await LlamaTransport(raw.url).answer(ChatRequest("0" * 32, [Turn("user", "hi")]), hear)
        await raw.peers[0].gone.wait()
    return failed.value


@pytest.mark.parametrize("ending", ["stay", "close", "reset"])
@pytest.mark.parametrize("reads", READS.values(), ids=READS)
async def test_an_error_in_the_first_frame_fails_the_reply_at_once(
    raw: RawServer, reads: list[bytes], ending: Ending
) -> None:
    raw.answer, raw.ending = reads, ending
    error = await failure(raw)
    assert type(error) is UpstreamFailed
    assert "out of memory" in str(error)
    assert (error.retryable, error.broke_off) == (True, 0), "it answered, if only with an error"


async def test_a_prompt_that_is_too_long_is_told_as_such(raw: RawServer) -> None:
    raw.answer = [HEAD + TOO_LONG]
    assert type(await failure(raw)) is ContextExceeded
