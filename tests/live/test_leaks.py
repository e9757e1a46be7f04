"""Thousands of finished replies leave no tasks, sockets or memory behind in the real server process."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.live.looking import look_again
from tests.live.model_server import model_server
from tests.live.test_gateway import Gateway, running_gateway
from tests.web.raw_reader import RawClient

pytestmark = pytest.mark.live

WARM_UP = 2000
ROUNDS, STREAMS = 4, 1000
AT_ONCE = 20
MAX_GROWTH_BYTES = 4 * 1024 * 1024
"""Of the round that grows least. Lost replies make each grow by 20 MB; buffers of SQLite grow in leaps."""
TEXTS = ["one ", "x" * 20_000]


class Load:
    """Requests many short streams of one gateway, several at a time."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._url = str(gateway.http.base_url).rstrip("/")
        self._process = Path(f"/proc/{gateway.program.process.pid}")

    async def ask(self, count: int) -> None:
        """Request `count` streams, every other one resumable, and read each to its end."""
        left = iter(range(count))

        async def ask_on() -> None:
            for number in left:
                async with RawClient(self._url) as client:
                    reader = await client.ask(str(number), resumable=number % 2 == 0)
                    await reader.read()
                assert reader.source.ends[0]["reason"] == "stop"

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(ask_on())

    def memory_bytes(self) -> int:
        lines = (self._process / "status").read_text().splitlines()
        (kilobytes,) = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
        return int(kilobytes) * 1024

    async def held(self) -> dict[str, int]:
        """Return the counts of clients' resources, descriptors and tasks, including those of this request.

        The database's files are not counted: its pool opens readers when they are first needed.
        """
        told = (await self._gateway.http.get("/api/metrics")).json()["gateway"]
        held = {name: told[name] for name in ("runs", "streams", "tasks")}
        targets = [os.readlink(descriptor) for descriptor in (self._process / "fd").iterdir()]
        return {**held, "descriptors": sum("gateway.db" not in target for target in targets)}

    async def until_held(self, expected: dict[str, int]) -> None:
        """Wait until `held()` equals `expected`: the server cleans up after its clients have read the end."""
        while (held := await self.held()) != expected:
            assert held.keys() == expected.keys()
            await look_again()


@asynccontextmanager
async def load(tmp_path: Path, **settings: str) -> AsyncIterator[Load]:
    async with model_server() as model:
        model.open_with(*TEXTS, end=True)
        async with (
            running_gateway(tmp_path, LLM_SERVER_URL=model.url, **settings) as gateway,
            asyncio.TaskGroup() as group,
        ):
            # Its log would fill the pipe and block it.
            listening = group.create_task(gateway.program.ended())
            try:
                yield Load(gateway)
            finally:
                listening.cancel()


async def test_thousands_of_finished_replies_leave_no_memory_socket_or_task(tmp_path: Path) -> None:
    # A small journal, so that ended replies that it keeps on purpose are not counted as a leak.
    async with (
        asyncio.timeout(600),
        load(tmp_path, JOURNAL_MAX_BYTES="100000", JOURNAL_TOTAL_BYTES="100000") as gateway,
    ):
        before = await gateway.held()
        await gateway.ask(WARM_UP)  # long enough for a leak to use up the memory that the heap has to spare
        memory_bytes = []
        for _ in range(ROUNDS):
            await gateway.ask(STREAMS)
            await gateway.until_held(before)
            memory_bytes.append(gateway.memory_bytes())
    growth_bytes = [after - before for before, after in pairwise(memory_bytes)]
    assert min(growth_bytes) < MAX_GROWTH_BYTES, growth_bytes
