"""A gateway that may open few files, and clients who open all they can: it goes on, says so, and recovers."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.live.house import House, until
from tests.live.model_server import ModelServer, model_server
from tests.live.programs import running_program, sluice
from tests.live.test_gateway import Gateway
from tests.plain_http import plain_http

pytestmark = pytest.mark.live

DESCRIPTORS = 256
LIMITED = ["sh", "-c", f'ulimit -n {DESCRIPTORS} && exec "$@"', "sh"]


async def flood(url: httpx.URL) -> tuple[list[asyncio.StreamWriter], list[bytes]]:
    """Connect more often than the gateway can take, until ten were refused.

    Return every connection, and the responses to those that were refused.
    """
    writers: list[asyncio.StreamWriter] = []
    async with asyncio.TaskGroup() as group:
        reading: set[asyncio.Task[bytes]] = set()
        for _ in range(DESCRIPTORS + 10):
            reader, writer = await asyncio.open_connection(url.host, url.port)
            writers.append(writer)
            reading.add(group.create_task(reader.read()))
        refused: list[bytes] = []
        while len(refused) < 10:
            done, reading = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
            refused += [task.result() for task in done]
        for task in reading:
            task.cancel()
    return writers, refused


async def test_idle_connections_use_nothing_up(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    async with (
        asyncio.timeout(120),
        model_server() as model,
        running_program(
            *LIMITED, *sluice("serve"), PORT="0", DATABASE_URL=database, LLM_SERVER_URL=model.url
        ) as program,
    ):
        listening = await program.until_said(r"listening on (http://\S+)")
        async with (
            plain_http(listening[1]) as http,
            House(Gateway(program, http)) as house,
        ):
            await http.get("/health")  # the connection that stays
            before = await house.begin("before")
            writers, heard = await flood(http.base_url)
            assert len(writers) > DESCRIPTORS // 2
            assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in heard)
            assert all(b"\r\nretry-after: " in answer.lower() for answer in heard)
            await program.until_said(r"connections were refused: this process may have 256 files open")

            assert (await http.get("/health")).status_code == 200
            answer = await ask_over(http, model)
            assert answer.status_code == 200
            assert answer.json()["assistant_message"]["status"] == "complete"
            model.say("two ")
            await before.read(lambda: "two" in before.source.text)

            for writer in writers:
                writer.close()
            await until(lambda: few_sockets(house), True)
            again = await house.begin("again")
            model.end()
            await before.read()
            await again.read()
            assert house.said_no_errors()


async def ask_over(http: httpx.AsyncClient, model: ModelServer) -> httpx.Response:
    """Ask and wait for the whole answer, over the connection that stands."""
    model.open_with("whole", end=True)
    try:
        return await http.post("/api/chatbot/messages", json={"content": "during"})
    finally:
        model.open_with("one ")


async def few_sockets(house: House) -> bool:
    await house.http.get("/health")  # and lets this loop close what it has to
    return await house.sockets() < DESCRIPTORS // 4
