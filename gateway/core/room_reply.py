"""A running reply as a room hears it: read once, and told in pieces to all listeners."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from gateway.contract.errors import GatewayError, NotFound
from gateway.contract.events import (
    Cancelled,
    Delta,
    Failed,
    Finished,
    ReaderEvent,
    Reasoning,
    Status,
    Terminal,
    ToolCall,
)
from gateway.contract.journal import START, Position
from gateway.contract.replies_elsewhere import RepliesElsewhere, RunningReply
from gateway.contract.room_events import ReplyBegan, ReplyGrew, ReplyOver
from gateway.contract.store import MessageStore, StoredMessage
from gateway.core.replays import terminal_of
from gateway.core.run import GOES_ON_ELSEWHERE, Run
from gateway.core.runs import Runs

log = logging.getLogger("sluice.rooms")

COALESCE_S = 0.05
"""Shortest time between two pieces of a reply, in seconds."""

FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 2.0
"""Range of the pauses between attempts to read a reply that no gateway seems to make."""

Tell = Callable[[ReplyGrew | ReplyOver], None]


class RoomReply:
    """Follows one reply to its end: here, at another gateway, or in the store.

    Args:
        reply: must run.
        user_id: the owner of its session.
        tell: called with each event of the reply after ReplyBegan; it must not block or raise.
        elsewhere: None if there is only this gateway.

    Attributes:
        message_id: of its row.
        is_over: True once `tell` was called with the end.
    """

    def __init__(
        self,
        reply: RunningReply,
        user_id: str,
        tell: Tell,
        runs: Runs,
        store: MessageStore,
        elsewhere: RepliesElsewhere | None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reply = reply
        self.message_id = reply.message_id
        self._user_id = user_id
        self._tell = tell
        self._runs = runs
        self._store = store
        self._elsewhere = elsewhere
        self._sleep = sleep
        self._text = _Told()
        self._reasoning = _Told()
        self._calls: list[ToolCall] = []
        self._calls_at = 0
        self.is_over = False

    def began(self) -> ReplyBegan:
        """Return the beginning, with the text that listeners have so far."""
        reply, text, reasoning = self._reply, self._text.joined(), self._reasoning.joined()
        ids = (reply.stream_id, reply.message_id, reply.question_id)
        return ReplyBegan(*ids, text, reasoning, reply.asked_by)

    async def follow(self) -> None:
        """Tell the reply until it has ended. If it was deleted, return without an end."""
        pause_s = FIRST_PAUSE_S
        while not self.is_over:
            before = self._text.chars + self._reasoning.chars
            try:
                await self._read_once()
            except NotFound:
                return
            except GatewayError as error:  # another gateway may have it by now, or the database be away
                log.debug("stream %s is read again: %s", self._reply.stream_id, error)
            grew = self._text.chars + self._reasoning.chars > before
            pause_s = FIRST_PAUSE_S if grew else min(2 * pause_s, MAX_PAUSE_S)
            if not self.is_over:
                await self._sleep(pause_s)

    async def _read_once(self) -> None:
        run = self._run_here()
        if run is not None:
            await self._read_here(run)
            return
        stored = await self._store.reply(self._user_id, self._reply.stream_id)
        self._begin_at(START)
        if stored.status != "streaming":
            self._hear([*_text_of(stored), *stored.tool_calls, terminal_of(stored)])
        elif self._elsewhere is not None:
            try:
                async for events in self._elsewhere.reading(self._reply.stream_id, self._user_id):
                    self._hear(events)
                    await self._sleep(COALESCE_S)
            except NotFound:
                pass  # it has just ended, or changes its owner: look again

    def _run_here(self) -> Run | None:
        try:
            run = self._runs.find(self._reply.stream_id, self._user_id)
        except NotFound:
            return None
        goes_on_elsewhere = run.outcome in GOES_ON_ELSEWHERE or self._runs.may_lose(run.stream_id)
        return None if goes_on_elsewhere else run

    async def _read_here(self, run: Run) -> None:
        with self._runs.overhearing(run) as follower:
            begins_at = follower.begins_at or run.begins_at
            if begins_at != START:
                stored = await self._store.reply(self._user_id, run.stream_id)
                self._begin_at(START)
                self._hear(_text_of(stored))
            self._begin_at(begins_at)
            while (events := await follower.read()) is not None:
                if run.outcome in GOES_ON_ELSEWHERE:
                    return
                self._hear(events)
                await self._sleep(COALESCE_S)

    def _begin_at(self, position: Position) -> None:
        """The next events follow on this position."""
        self._text.at, self._reasoning.at = position.chars, position.thoughts
        self._calls_at = position.calls

    def _hear(self, events: Sequence[ReaderEvent]) -> None:
        """Tell what is new in these events, as one piece."""
        end: Terminal | None = None
        position, reasoning_position = self._text.chars, self._reasoning.chars
        text, reasoning = "", ""
        for event in events:
            match event:
                case Delta(piece):
                    text += self._text.new_of(piece)
                case Reasoning(piece):
                    reasoning += self._reasoning.new_of(piece)
                case ToolCall():
                    self._calls_at += 1
                    if self._calls_at > len(self._calls):
                        self._calls.append(event)
                case Finished() | Cancelled() | Failed():
                    end = event
        if text or reasoning:
            grew = ReplyGrew(self._reply.stream_id, position, text, reasoning_position, reasoning)
            self._tell(grew)
        if end is not None:
            self.is_over = True
            self._tell(self._over(end))

    def _over(self, end: Terminal) -> ReplyOver:
        status: Status = "complete"
        if isinstance(end, Failed):
            status = "interrupted" if end.reason == "interrupted" else "failed"
        elif isinstance(end, Cancelled):
            status = "cancelled"
        return ReplyOver(
            self._reply.stream_id,
            self._reply.message_id,
            status,
            end.reason,
            chars=len(end.ending.full_content),
            model=end.ending.model,
            tool_calls=tuple(self._calls),
            error=(end.code, end.message) if isinstance(end, Failed) else None,
        )


class _Told:
    """The text or the reasoning that listeners have.

    Attributes:
        chars: its length.
        at: position of the next piece that is read; less than `chars` if the piece was read before.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.chars = self.at = 0

    def new_of(self, piece: str) -> str:
        """Return the part of the next piece that was not told before; it counts as told."""
        new = piece[max(0, self.chars - self.at) :]
        self.at += len(piece)
        if new:
            self.chars += len(new)
            self._pieces.append(new)
        return new

    def joined(self) -> str:
        self._pieces = ["".join(self._pieces)]
        return self._pieces[0]


def _text_of(stored: StoredMessage) -> list[ReaderEvent]:
    reasoning = [Reasoning(stored.reasoning)] if stored.reasoning else []
    return [*reasoning, *([Delta(stored.content)] if stored.content else [])]
