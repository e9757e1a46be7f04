"""The child process of the embedded llama.cpp."""

import asyncio

import pytest

from transports.llama.embedded_server import LlamaProcess


async def test_a_server_that_is_ready_after_its_start_was_cancelled_is_no_error() -> None:
    process = LlamaProcess()
    ready = asyncio.ensure_future(process.ready())
    await asyncio.sleep(0)
    ready.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ready
    process.pipe_data_received(1, b"READY http://127.0.0.1:1\n")
    process.connection_lost(None)
