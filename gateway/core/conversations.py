"""A question comes in: it is saved, a run starts that answers it, and whoever asked may follow that run."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.contract.errors import Draining
from gateway.contract.requests import ChatRequest, Sampling, Turn
from gateway.contract.store import MessageStore, NewExchange
from gateway.contract.transport import Transport, TransportInfo
from gateway.core.answers import Answer
from gateway.core.pacing import Pace
from gateway.core.runs import SHUTDOWN, Run, Runs

TITLE_CHARS = 60


@dataclass(frozen=True, slots=True)
class Question:
    """What a user asks. session_id None starts a session. pace: None shows a whole reply at once."""

    user_id: str
    content: str
    session_id: int | None = None
    system_prompt: str | None = None
    model: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    resumable: bool = False
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """deadline_s: for a whole reply. history_max_chars: of earlier messages that go to the model."""

    deadline_s: float = 120.0
    history_max_chars: int = 24_000


class Routes(Protocol):
    """Chooses who answers: gateway.core.selector, as far as it is needed here."""

    def route(self, model: str | None) -> tuple[Transport, TransportInfo]: ...


class Conversations:
    """new_id: 32 random hex digits. clock: seconds, monotonic."""

    def __init__(
        self,
        store: MessageStore,
        runs: Runs,
        routes: Routes,
        limits: Limits,
        *,
        new_id: Callable[[], str],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._runs = runs
        self._routes = routes
        self._limits = limits
        self._new_id = new_id
        self._clock = clock
        self._sleep = sleep

    async def ask(self, question: Question) -> Run:
        """Save the question and start its reply; raises RequestRejected or TransportError if it cannot begin.

        Follow the run before the next await.
        """
        self._runs.refuse_if_draining()
        transport, expected = self._routes.route(question.model)
        turns = await self._turns(question)
        stream_id = self._new_id()
        exchange = await self._store.begin(
            NewExchange(
                user_id=question.user_id,
                session_id=question.session_id,
                title=title_of(question.content),
                content=question.content,
                stream_id=stream_id,
                mode=expected.name,
                delivery="token" if expected.granularity == "token" else "chunked",
            )
        )
        request = ChatRequest(
            id=stream_id,
            turns=turns,
            sampling=question.sampling,
            model=question.model,
            deadline_s=self._limits.deadline_s,
            session=exchange.session_key,
        )
        answer = Answer(stream_id, exchange, expected, self._store, clock=self._clock, sleep=self._sleep)

        async def make(run: Run) -> None:
            await answer.make(run, transport, request, question.pace)

        try:
            return self._runs.start(
                stream_id, question.user_id, make, answer.conclude, resumable=question.resumable
            )
        except Draining:
            await answer.keep(SHUTDOWN)
            raise

    async def _turns(self, question: Question) -> Sequence[Turn]:
        turns = [Turn("system", question.system_prompt)] if question.system_prompt else []
        if question.session_id is not None:
            _, earlier = await self._store.history(
                question.user_id, question.session_id, max_chars=self._limits.history_max_chars
            )
            turns += [Turn(message.role, message.content) for message in earlier]
        return [*turns, Turn("user", question.content)]


def title_of(content: str) -> str:
    """A session's title made from its first message: its first words, on one line."""
    line = " ".join(content.split())
    if len(line) <= TITLE_CHARS:
        return line
    return line[:TITLE_CHARS].rsplit(" ", 1)[0] + "…"
