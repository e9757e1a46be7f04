"""Produces and stores the reply to one stored question; its readers get the terminal event after the
commit."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from gateway.contract.continued import ReplySoFar
from gateway.contract.ended_reply import OnEnded
from gateway.contract.errors import StorageFailed
from gateway.contract.events import Delivery, Done, Ending, ReaderEvent, Started, Terminal, ToolCall
from gateway.contract.exchanges import Checkpoint, Exchange, FinalReply, StoredError
from gateway.contract.journal import JournalWriter
from gateway.contract.store import StoredMessage
from gateway.contract.transport import Hear, TransportInfo, delivery_of
from gateway.core.budgets import Tab
from gateway.core.earlier_part import EarlierPart
from gateway.core.event_lengths import NotedJournal, lengths_of, packed, packed_so_far
from gateway.core.measured_reply import report_end
from gateway.core.paced_reply import PacedReply
from gateway.core.pacing import Pace
from gateway.core.reply_accumulator import ReplyAccumulator, recording
from gateway.core.reply_events import kept_events, started_event, terminal_event
from gateway.core.reply_row import ReplyRow, RowLost
from gateway.core.reply_store import ReplyStore
from gateway.core.run import LEFT, TAKEN_OVER, Outcome, Production, Run
from gateway.core.stored_handle import StoredHandle

MAX_MODEL_CHARS = 256  # of the name that a model server gives; the rest is cut off


class ReplyTask:
    """Produces one reply.

    Args:
        expected: of the transport that will get the request first.
        delivery: the expected delivery, for the Started event.
        resume_url: readers that left may return with it; None if they may not.
        handle: with which another gateway can continue the reply; None if it ends with this one.
        exact_events: keep the lengths of the events.
        earlier: the stored reply that goes on; None for a new one.
        tab: of the API key that pays for the reply.
        on_ended: called after the terminal event.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        stream_id: str,
        exchange: Exchange,
        expected: TransportInfo,
        store: ReplyStore,
        *,
        delivery: Delivery,
        resume_url: str | None,
        handle: StoredHandle | None = None,
        exact_events: bool = False,
        earlier: ReplySoFar | None = None,
        tab: Tab | None = None,
        on_ended: OnEnded = lambda _: None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.stream_id = stream_id
        self.exchange = exchange
        self._expected = expected
        self._store = store
        self._expected_delivery = delivery
        self.handle = handle
        self.resume_url = resume_url
        self._exact_events = exact_events
        self._tab = tab
        self._noted: NotedJournal | None = None
        self._on_ended = on_ended
        self._row = ReplyRow(store, stream_id, exchange, clock, sleep)
        self._sleep = sleep
        self._earlier = EarlierPart(earlier)
        self.reply = ReplyAccumulator(clock, len(self._earlier), exact=exact_events)
        self._paced: PacedReply | None = None
        self._run: Run | None = None
        self._journal: JournalWriter | None = None
        self._checkpointed_seq = 0

    def begin(self, run: Run) -> None:
        """Append the Started event, or keep it for the client that continues a reply. Call it before the next
        await after the run's start: it leaves with the response's head."""
        self._attach(run)
        if self._earlier.exists:
            run.opening = self._started()
        else:
            run.journal.append([self._started()])

    def begin_again(self, run: Run, kept: StoredMessage) -> bool:
        """Append the events of a reply that was taken over, up to its stored text; only Started, and return
        False, if their lengths are unknown."""
        self._attach(run)
        events = kept_events(kept, exact=self._exact_events)
        run.journal.append([self._started(), *(events or ())])
        self.checkpointed(run.journal.last_seq)
        if self._earlier.exists:
            run.opening = self._started()
        return events is not None

    def _attach(self, run: Run) -> None:
        if self._exact_events:
            run.journal = self._noted = NotedJournal(run.journal)
            run.event_lengths = self._noted.lengths
        self._run, self._journal = run, run.journal
        run.production = lambda: Production(self._asked.name, self.reply.elapsed_ms / 1000, len(self._text))

    async def make(self, run: Run, receive: Callable[[Hear], Awaitable[Done]], pace: Pace | None) -> None:
        """Receive the reply and settle the run. A reply that arrives in one piece is stored before it is
        paced."""
        reply = self.reply
        done = reply.done = await receive(recording(reply, run.journal, run))
        reply.end()
        whole = () if done.whole is None else reply.take(self._earlier.left_out_of(done.whole))
        outcome = Outcome("complete", done.reason)
        if whole and not done.cached and pace is not None and pace.delay_s > 0:
            paced = PacedReply(whole, pace, outcome)
            last_seq = run.journal.last_seq + len(paced.events)
            reply.number_tool_calls(paced.events, last_seq)
            final = self._final(outcome, last_seq + 1, coming=paced.events)
            self._paced = paced
            try:
                await self._row.write(final)
            except StorageFailed:
                paced.send_rest(run.journal)
                raise
            paced.stored = True
            await paced.send(run.journal, self._sleep)
        elif whole:
            run.journal.append(whole)
            reply.number_tool_calls(whole, run.journal.last_seq)
        run.settle(outcome)

    async def conclude(self, run: Run) -> Outcome:
        """Store the reply's final state, append the terminal event, and return the final outcome."""
        assert run.outcome is not None  # noqa: S101 - Runs concludes settled runs only
        outcome, paced = run.outcome, self._paced
        self.reply.end()
        if paced is not None and outcome.reason not in ("user_stop", "storage_failed"):
            # The pacing ended, or the readers left during it: the stored row stays complete.
            outcome = paced.outcome
            paced.send_rest(run.journal)
        if paced is None or not paced.stored or outcome is not paced.outcome:
            outcome = outcome if outcome is LEFT else await self.keep(outcome)
        if self._tab is not None and outcome is not LEFT and outcome.reason != "storage_failed":
            await self._tab.settle(self.reply)
        terminal = self._terminal(outcome)
        if outcome is not TAKEN_OVER or run.resume_url is None:  # else its readers resume where it goes on
            run.journal.append([terminal])
        report_end(run, self.reply, outcome, terminal.ending, self._on_ended)
        return outcome

    async def keep(self, outcome: Outcome) -> Outcome:
        """Store the reply's final state and return the outcome for its readers.

        If the database fails for STORAGE_RETRY_S, the store writes the end later. That is TAKEN_OVER if
        another gateway may have the reply by now, and `storage_failed` otherwise.
        """
        last_seq = None if self._journal is None else self._journal.last_seq + 1
        if outcome.reason != "storage_failed":
            try:
                await self._row.write(self._final(outcome, last_seq))
                return outcome
            except StorageFailed as error:
                ended, outcome = outcome, Outcome("failed", "storage_failed", error)
                if isinstance(error, RowLost) and self._run is not None:
                    outcome = await self._row.loss(self._run.user_id)
                elif self.handle is not None and self.handle.may_be_left():
                    self._store.finish_later(self._final(ended, last_seq))
                    return TAKEN_OVER
        if outcome is TAKEN_OVER:
            return outcome
        self._store.finish_later(self._final(outcome, last_seq))
        return outcome

    def checkpoint(self, *, unchanged: bool = False) -> tuple[Checkpoint, int] | None:
        """Return the text to store and the number of its latest event; None if there is nothing new.

        unchanged: True returns a text without new events too.
        """
        journal = self._journal
        if journal is None or self._paced is not None:
            return None
        if journal.last_seq == self._checkpointed_seq and not unchanged:
            return None
        message_id, epoch = self.exchange.assistant_message_id, self.exchange.epoch
        lengths = None if self._noted is None else packed_so_far(self._noted.lengths)
        handle = None if self.handle is None else self.handle_now()
        return Checkpoint(message_id, self._text, self._reasoning, epoch, lengths, handle), journal.last_seq

    def handle_now(self) -> Mapping[str, Any] | None:
        """Return the handle that belongs to the reply's present text."""
        return None if self.handle is None else self.handle.refresh(self.mode, self.reply.first_s)

    def new_handle(self) -> Mapping[str, Any] | None:
        """Return the handle without what belongs to the reply's present text."""
        return None if self.handle is None else self.handle.as_json(self.mode, self.reply.first_s)

    def checkpointed(self, seq: int) -> None:
        """Note that the text up to event `seq` is stored."""
        self._checkpointed_seq = seq
        if self._journal is not None:
            self._journal.checkpointed(seq)

    @property
    def mode(self) -> str:
        """Name of the transport that has the request."""
        return self._asked.name

    async def lost(self) -> None:
        """End the reply, because its row cannot be changed any more."""
        if self._run is not None:
            outcome = await self._row.loss(self._run.user_id)
            if self.handle is not None:
                self.handle.is_left = outcome is TAKEN_OVER
            self._run.settle(outcome)

    @property
    def _text(self) -> str:
        return self._earlier.and_text(self.reply.text if self._paced is None else self._paced.sent_text)

    @property
    def _reasoning(self) -> str | None:
        made = self.reply.reasoning
        return self._earlier.and_reasoning(made if self._paced is None else self._paced.heard_of(made))

    @property
    def _tool_calls(self) -> Sequence[ToolCall]:
        return self.reply.tool_calls if self._paced is None else self._paced.sent_tool_calls

    @property
    def _asked(self) -> TransportInfo:
        """The transport that got the request last; before that, the expected one."""
        return self.reply.asked or self._expected

    @property
    def _delivery(self) -> Delivery:
        done = self.reply.done
        if done is not None and done.cached:
            return "cached"
        if done is None and self.reply.asked is None:
            return self._expected_delivery
        return delivery_of(self._asked if done is None else done)

    @property
    def _model(self) -> str | None:
        model = self._earlier.model_if(None if self.reply.done is None else self.reply.done.model)
        return None if model is None else model[:MAX_MODEL_CHARS]

    def _started(self) -> Started:
        mode, delivery = self._expected.name, self._delivery
        return started_event(self.stream_id, self.exchange, mode, delivery, self.resume_url)

    def _final(
        self, outcome: Outcome, last_seq: int | None, coming: Sequence[ReaderEvent] = ()
    ) -> FinalReply:
        """coming: events that its readers do not have yet."""
        reply, error = self.reply, outcome.error
        noted, tool_calls = self._noted, self._tool_calls
        return FinalReply(
            assistant_message_id=self.exchange.assistant_message_id,
            status=outcome.status,
            reason=outcome.reason,
            content=self._text,
            delivery=self._delivery,
            mode=self._asked.name,
            reasoning=self._reasoning,
            tool_calls=tool_calls,
            tool_call_seqs=reply.tool_call_seqs[: len(tool_calls)],
            last_seq=last_seq,
            model=self._model,
            usage=self._earlier.and_usage(reply.usage),
            counted=self._earlier.usage,
            ttft_ms=reply.ttft_ms,
            response_ms=reply.elapsed_ms,
            error=None if error is None else StoredError(error.code, str(error), error.retryable),
            over="streaming" if self._paced is None else "complete",
            epoch=self.exchange.epoch,
            charge=None if self._tab is None else self._tab.charge(self.reply),
            event_lengths=None if noted is None else packed([*noted.lengths, *lengths_of(coming)]),
            seams=reply.seams,
        )

    def _terminal(self, outcome: Outcome) -> Terminal:
        ending = Ending(
            assistant_message_id=self.exchange.assistant_message_id,
            full_content=self._text,
            mode=self._asked.name,
            delivery=self._delivery,
            model=self._model,
            usage=self._earlier.and_usage(self.reply.usage),
            ttft_ms=self.reply.ttft_ms,
            tokens_per_s=self.reply.tokens_per_s,
            assistant_message_uuid=self.exchange.assistant_message_uuid,
            continued=self.reply.seams,
        )
        return terminal_event(outcome, ending)
