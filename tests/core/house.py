"""A core with a store in memory around a scripted transport, for tests that ask it questions."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.contract.access import Access
from gateway.contract.content import Content
from gateway.contract.events import ReaderEvent
from gateway.contract.requests import ChatRequest
from gateway.contract.stage import Stage
from gateway.contract.store import MessageStore
from gateway.contract.transport import Transport
from gateway.core.access import OwnerAccess
from gateway.core.checkpoints import Checkpoints
from gateway.core.conversations import Conversations
from gateway.core.limits import Limits
from gateway.core.mode_selector import ModeSelector
from gateway.core.question import Question
from gateway.core.run import Run
from gateway.core.runs import Runs
from gateway.core.session_news import SessionNews
from gateway.journals.memory import MemoryJournal
from gateway.store.sql_store import SqlStore
from tests.store.memory_replies import MemoryDatabase
from tests.store.memory_store import MemoryStore
from tests.store.migrated import migrated
from transports.scripted import Script, ScriptedTransport

USER = "local"


async def no_pause(_: float) -> None:
    """Sleep that only lets others run."""
    await asyncio.sleep(0)


@dataclass
class House:
    conversations: Conversations
    runs: Runs
    journal: MemoryJournal
    store: MessageStore
    transport: ScriptedTransport
    checkpoints: Checkpoints
    news: SessionNews
    database: MemoryDatabase

    async def ask(self, content: Content, session_id: int | None = None, **more: object) -> Run:
        question = Question(USER, content, session_id=session_id, **more)  # type: ignore[arg-type]
        return self.runs.find(await self.conversations.ask(question), USER)

    async def answer(
        self, content: Content, session_id: int | None = None, **more: object
    ) -> list[ReaderEvent]:
        """Ask and read to the end."""
        run = await self.ask(content, session_id, **more)
        with self.runs.following(run) as reader:
            events: list[ReaderEvent] = []
            while (new := await reader.read()) is not None:
                events += new
        await run.ended.wait()
        return events

    async def last_message(self, session_id: int, *, before: int | None = None) -> int:
        """As RoomStore.last_message, in any store."""
        if isinstance(self.store, SqlStore):
            return await self.store.rooms.last_message(session_id, before=before)
        kept = [kept.message for kept in self.database.messages.values()]
        ids = [message.id for message in kept if message.session_id == session_id]
        return max((id for id in ids if before is None or id < before), default=0)


@asynccontextmanager
async def house(
    tmp_path: Path,
    script: Script,
    *,
    store: Callable[[SqlStore | MemoryStore], MessageStore] = lambda store: store,
    grace_s: float = 30,
    ttl_s: float = 0,
    limits: Limits | None = None,
    sleep: Callable[[float], Awaitable[None]] = no_pause,
    modes: ModeSelector | None = None,
    stages: Sequence[Stage] = (),
    access: Access | None = None,
    in_sql: bool = False,
    database: MemoryDatabase | None = None,
    kept_requests: dict[str, ChatRequest] | None = None,
    within_s: float = 60,
    **conversation: Any,
) -> AsyncIterator[House]:
    """conversation: further arguments of Conversations."""
    transport = ScriptedTransport(script, kept=kept_requests)
    transports: dict[str, Transport] = {"scripted": transport}
    access = access or OwnerAccess()
    database = database or MemoryDatabase()
    memory = MemoryStore(database, access=access)
    sql = SqlStore(migrated(tmp_path / "house.db"), access=access) if in_sql else None
    kept = store(sql or memory)
    journal = MemoryJournal()
    runs = Runs(journal, access, grace_s=grace_s, ttl_s=ttl_s)
    checkpoints = Checkpoints(kept)
    news = SessionNews()
    numbers = itertools.count(1)
    conversations = Conversations(
        kept,
        runs,
        modes or ModeSelector(transports, "scripted"),
        limits or Limits(deadline_s=60),
        checkpoints,
        news,
        resume_url=lambda stream_id, _: f"/{stream_id}",
        new_id=lambda: f"{next(numbers):032x}",
        clock=time.monotonic,
        sleep=sleep,
        stages=stages,
        **conversation,
    )
    async with asyncio.timeout(within_s), (sql or memory).running(), transport.running(), runs.running():
        yield House(conversations, runs, journal, kept, transport, checkpoints, news, database)
