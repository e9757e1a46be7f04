"""The campaign's model server counts the requests that llama.cpp has read."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.chaos.model_program import Passing, note_of, read_notes

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("answer", [ANSWER, b""])
async def test_a_request_counts_unless_the_server_closes_without_an_answer(
    answer: bytes, tmp_path: Path
) -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(answer)
        writer.close()

    async with asyncio.timeout(30), await asyncio.start_server(server, "127.0.0.1", 0) as model:
        notes = tmp_path / "model.notes"
        passing = Passing("127.0.0.1", model.sockets[0].getsockname()[1], notes)
        async with await asyncio.start_server(passing.serve, "127.0.0.1", 0) as front:
            body = json.dumps({"grammar": "g"}).encode()
            head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
            reader, writer = await asyncio.open_connection(*front.sockets[0].getsockname())
            writer.write(head + body)
            assert await reader.read() == answer
            writer.close()
    assert read_notes([notes]) == ([note_of("g")] if answer else [])
