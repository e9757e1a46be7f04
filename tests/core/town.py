"""A database and a generator that outlive the gateways of a test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.contract.events import Delta, Done, ReaderEvent, Usage
from gateway.contract.requests import ChatRequest
from gateway.contract.store import StoredMessage
from gateway.core.run import Run
from tests.core.house import House, house
from tests.store.memory_replies import Kept, MemoryDatabase
from transports.scripted import Script, Step


@dataclass
class Town:
    """The database and the generator, which outlive gateways."""

    tmp_path: Path
    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    kept: dict[str, ChatRequest] = field(default_factory=dict)

    @asynccontextmanager
    async def gateway(self, *steps: Step, **more: Any) -> AsyncIterator[House]:
        script: Script = lambda _: steps  # noqa: E731
        async with house(
            self.tmp_path, script, database=self.database, kept_requests=self.kept, ttl_s=60, **more
        ) as home:
            yield home

    async def leave_reply(
        self, *steps: Step, stored: bool = True, gateway: dict[str, Any] | None = None, **question: Any
    ) -> str:
        """Begin a reply whose gateway dies when the script is silent. gateway: as in `gateway`."""
        silent = asyncio.Event()

        async def fall_silent() -> None:
            silent.set()
            await asyncio.Event().wait()

        async with self.gateway(*steps, fall_silent, **(gateway or {})) as home:
            run = await home.ask("Hi", resumable=True, **question)
            with home.runs.overhearing(run):
                await silent.wait()
                if stored:
                    await home.checkpoints.keep_all()
                killed = self.kill()
        killed()
        return run.stream_id

    def kill(self) -> Callable[[], None]:
        """Return a function that restores database and generator as they are now, as a kill leaves them."""
        row, requests = self.kept_row(), dict(self.kept)
        left = (row.message, row.handle, row.epoch)

        def restore() -> None:
            row.message, row.handle, row.epoch = left
            self.kept |= requests
            self.database.charges.clear()

        return restore

    @asynccontextmanager
    async def adopted(
        self, *steps: Step, adopt_s: float = 0.0, **more: Any
    ) -> AsyncIterator[tuple[House, Run]]:
        async with self.gateway(*steps, **more) as home:
            await home.conversations.adoption(adopt_s).begin(alone=True)
            (run,) = home.runs.all()
            yield home, run

    def kept_row(self) -> Kept:
        (kept,) = [each for each in self.database.messages.values() if each.message.stream_id]
        return kept

    def message(self) -> StoredMessage:
        return self.kept_row().message


async def told(home: House, run: Run) -> list[ReaderEvent]:
    with home.runs.following(run) as reader:
        events: list[ReaderEvent] = []
        while (new := await reader.read()) is not None:
            events += new
    await run.ended.wait()
    return events


def text_of(events: Iterable[ReaderEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


END: Step = [Usage(2, 4, 6), Done("stop", "tiny")]


async def heard(home: House, run: Run, text: str) -> None:
    """Wait until the reply has this text."""
    with home.runs.overhearing(run) as reader:
        events: list[ReaderEvent] = []
        while text_of(events) != text:
            events += await reader.read() or ()
