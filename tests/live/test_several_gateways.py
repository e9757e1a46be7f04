"""`sluice serve --workers` on a real PostgreSQL: real processes that share a port, die and come back."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.model_server import ModelServer, model_server
from tests.live.programs import Program, running_program, sluice
from tests.plain_http import plain_http
from tests.store.postgres import SHARED, PostgresServer, requires_postgres
from tests.web.gateway_server import STREAM, unified_events
from tests.web.raw_reader import RawClient

pytestmark = [pytest.mark.live, requires_postgres()]


@dataclass
class Processes:
    """url: of the shared port."""

    url: str
    program: Program
    model: ModelServer
    postgres: PostgresServer

    def pid(self, number: int) -> int:
        """Return the process id of a process by its number."""
        supervisor = self.program.process.pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        (found,) = [int(pid) for pid in children if f"PROCESS_NUMBER={number}" in environment_of(pid)]
        return found

    def internal_url(self, number: int) -> str:
        named = f"SELECT internal_url FROM gateways WHERE owner LIKE 'box-{number}/%'"  # noqa: S608
        return self.postgres.sql(f"{named} ORDER BY started_at DESC LIMIT 1", SHARED)


def environment_of(pid: str) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")


@asynccontextmanager
async def processes(folder: Path, postgres: PostgresServer, count: int = 2) -> AsyncIterator[Processes]:
    settings = {"PORT": "0", "DATABASE_URL": postgres.emptied(), "GATEWAY_NAME": "box"}
    command = sluice("serve", "--workers", str(count))
    async with (
        asyncio.timeout(120),
        model_server() as model,
        running_program(*command, cwd=folder, **settings, LLM_SERVER_URL=model.url) as program,
    ):
        url = (await program.until_said(rf"{count} processes serve (http://\S+)"))[1]
        for number in range(1, count + 1):
            await program.until_said(rf"\[box-{number}\] listening on {url} ")
        yield Processes(url, program, model, postgres)


async def test_one_that_is_killed_comes_back_while_the_others_answer(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async with processes(tmp_path, postgres) as house:
        pid = house.pid(2)
        os.kill(pid, signal.SIGKILL)
        await house.program.until_said(rf"process 2 \({pid}\) was ended by SIGKILL: it is restarted ")
        async with plain_http(house.url) as client:
            assert (await client.get("/health")).status_code == 200
        house.program.said = ""
        await house.program.until_said(r"\[box-2\] listening on")
        assert house.pid(2) != pid
        assert await house.program.end(signal.SIGTERM) == 0
    assert house.program.said.count("draining") == 2
    assert "Traceback" not in house.program.said


async def test_a_reply_is_read_at_every_process_and_stopped_at_any(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async with processes(tmp_path, postgres) as house:
        first, second = house.internal_url(1), house.internal_url(2)
        async with RawClient(first) as one, RawClient(second) as two:
            left = await one.ask("Hi", resumable=True)
            await left.begin()
            back = await two.come_back(left.stream_id, left.source)
            house.model.say("two ")
            await back.read(lambda: "two" in back.source.text)
            async with plain_http(second) as client:
                stopped = await client.delete(f"{STREAM}/{left.stream_id}")
                assert stopped.json()["status"] == "cancelled"
            await back.read()
        assert back.source.text == "one two "
        assert [end["type"] for end in back.source.ends] == ["done"]
        await house.model.all_gone()


async def test_all_of_them_share_one_history(tmp_path: Path, postgres: PostgresServer) -> None:
    async with processes(tmp_path, postgres) as house:
        house.model.open_with("one ", end=True)
        async with plain_http(house.internal_url(1)) as one, plain_http(house.internal_url(2)) as two:
            async with one.stream("POST", STREAM, json={"content": "Hi"}) as response:
                told = [event async for event in unified_events(response)]
            listed = await two.get(f"/api/chatbot/sessions/{told[0]['session_id']}/messages")
    assert [message["content"] for message in listed.json()] == ["Hi", "one "]


async def test_a_second_signal_ends_all_of_them_at_once(tmp_path: Path, postgres: PostgresServer) -> None:
    async with processes(tmp_path, postgres) as house:
        async with RawClient(house.url) as client:
            reader = await client.ask("Hi")
            await reader.begin()
            house.program.process.send_signal(signal.SIGTERM)
            await house.program.until_said("draining")
            house.program.process.send_signal(signal.SIGTERM)
            await reader.read()
            assert reader.source.ends[0]["reason"] == "shutdown"
        assert await house.program.ended() == 0
