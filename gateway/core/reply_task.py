"""Produces and stores the reply to one stored question; its readers get the terminal event after the
commit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from gateway.contract.continued import ReplySoFar
from gateway.contract.ended_reply import OnEnded
from gateway.contract.errors import StorageFailed
from gateway.contract.events import (
    Cancelled,
    Delivery,
    Ending,
    Failed,
    Finished,
    ReaderEvent,
    Started,
    Terminal,
    ToolCall,
)
from gateway.contract.exchanges import Checkpoint, Exchange, FinalReply, StoredError
from gateway.contract.journal import JournalWriter
from gateway.contract.requests import ChatRequest
from gateway.contract.stage import Stage
from gateway.contract.transport import TransportInfo, delivery_of
from gateway.core.budgets import Tab
from gateway.core.earlier_part import EarlierPart
from gateway.core.event_lengths import NotedJournal, lengths_of, packed, packed_so_far
from gateway.core.failover import Route, first_answer
from gateway.core.measured_reply import report_end
from gateway.core.paced_reply import PacedReply
from gateway.core.pacing import Pace
from gateway.core.reply_accumulator import ReplyAccumulator, recording
from gateway.core.reply_row import ReplyRow, RowLost
from gateway.core.reply_store import ReplyStore
from gateway.core.run import TAKEN_OVER, Outcome, Production, Run
from gateway.core.stages.order import through

MAX_MODEL_CHARS = 256
"""Maximum length of the model's name from a model server; the rest is cut off."""


class ReplyTask:
    """Produces one reply.

    Args:
        expected: of the transport that will get the request first.
        delivery: the expected delivery, for the Started event.
        stages: in the order in which the request passes them.
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
        stages: Sequence[Stage],
        resume_url: str | None,
        exact_events: bool = False,
        earlier: ReplySoFar | None = None,
        tab: Tab | None = None,
        on_ended: OnEnded = lambda _: None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._stream_id = stream_id
        self._exchange = exchange
        self._expected = expected
        self._store = store
        self._expected_delivery = delivery
        self._stages = stages
        self._resume_url = resume_url
        self._exact_events = exact_events
        self._tab = tab
        self._noted: NotedJournal | None = None
        self._on_ended = on_ended
        self._row = ReplyRow(store, stream_id, exchange, clock, sleep)
        self._sleep = sleep
        self._earlier = EarlierPart(earlier)
        self._reply = ReplyAccumulator(clock, len(self._earlier))
        self._paced: PacedReply | None = None
        self._run: Run | None = None
        self._journal: JournalWriter | None = None
        self._checkpointed_seq = 0

    def begin(self, run: Run) -> None:
        """Append the Started event, or keep it for the client that continues a reply. Call it before the next
        await after the run's start: it leaves with the response's head."""
        if self._exact_events:
            run.journal = self._noted = NotedJournal(run.journal)
            run.event_lengths = self._noted.lengths
        self._run, self._journal = run, run.journal
        run.production = lambda: Production(self._asked.name, self._reply.elapsed_ms / 1000, len(self._text))
        if self._earlier.exists:
            run.opening = self._started()
        else:
            run.journal.append([self._started()])

    async def make(self, run: Run, route: Route, request: ChatRequest, pace: Pace | None) -> None:
        """Get the reply and settle the run. A reply that arrives in one piece is stored before it is
        paced."""
        reply = self._reply
        reply.mode, reply.model_asked = route.mode, request.model
        ask = through(self._stages, partial(first_answer, route, reply))
        done = reply.done = await ask(request, recording(reply, run.journal, run.is_settled))
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
        self._reply.end()
        if paced is not None and outcome.reason not in ("user_stop", "storage_failed"):
            # The pacing ended, or the readers left during it: the stored row stays complete.
            outcome = paced.outcome
            paced.send_rest(run.journal)
        if paced is None or not paced.stored or outcome is not paced.outcome:
            outcome = await self.keep(outcome)
        if self._tab is not None and outcome.reason != "storage_failed":
            await self._tab.settle(self._reply)
        terminal = self._terminal(outcome)
        if outcome is TAKEN_OVER and run.resume_url is not None:
            # Its readers get no end, so that they resume where it goes on. The other gateway counts it.
            report_end(run, self._reply, outcome, terminal.ending, lambda _: None)
            return outcome
        run.journal.append([terminal])
        report_end(run, self._reply, outcome, terminal.ending, self._on_ended)
        return outcome

    async def keep(self, outcome: Outcome) -> Outcome:
        """Store the reply's final state and return the outcome for its readers.

        That is `storage_failed` if the database fails for STORAGE_RETRY_S or the row cannot be changed; the
        store then writes this outcome as soon as it can.
        """
        last_seq = None if self._journal is None else self._journal.last_seq + 1
        if outcome.reason != "storage_failed":
            try:
                await self._row.write(self._final(outcome, last_seq))
                return outcome
            except StorageFailed as error:
                outcome = Outcome("failed", "storage_failed", error)
                if isinstance(error, RowLost) and self._run is not None:
                    outcome = await self._row.loss(self._run.user_id)
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
        message_id, epoch = self._exchange.assistant_message_id, self._exchange.epoch
        lengths = None if self._noted is None else packed_so_far(self._noted.lengths)
        return Checkpoint(message_id, self._text, self._reasoning, epoch, lengths), journal.last_seq

    def checkpointed(self, seq: int) -> None:
        """Note that the text up to event `seq` is stored."""
        self._checkpointed_seq = seq
        if self._journal is not None:
            self._journal.checkpointed(seq)

    async def lost(self) -> None:
        """End the reply, because its row cannot be changed any more."""
        if self._run is not None:
            self._run.settle(await self._row.loss(self._run.user_id))

    @property
    def _text(self) -> str:
        return self._earlier.and_text(self._reply.text if self._paced is None else self._paced.sent_text)

    @property
    def _reasoning(self) -> str | None:
        made = self._reply.reasoning
        return self._earlier.and_reasoning(made if self._paced is None else self._paced.heard_of(made))

    @property
    def _tool_calls(self) -> Sequence[ToolCall]:
        return self._reply.tool_calls if self._paced is None else self._paced.sent_tool_calls

    @property
    def _asked(self) -> TransportInfo:
        """The transport that got the request last; before that, the expected one."""
        return self._reply.asked or self._expected

    @property
    def _delivery(self) -> Delivery:
        done = self._reply.done
        if done is not None and done.cached:
            return "cached"
        if done is None and self._reply.asked is None:
            return self._expected_delivery
        return delivery_of(self._asked if done is None else done)

    @property
    def _model(self) -> str | None:
        model = self._earlier.model_if(None if self._reply.done is None else self._reply.done.model)
        return None if model is None else model[:MAX_MODEL_CHARS]

    def _started(self) -> Started:
        return Started(
            stream_id=self._stream_id,
            session_id=self._exchange.session_id,
            session_key=self._exchange.session_key,
            user_message_id=self._exchange.user_message_id,
            assistant_message_id=self._exchange.assistant_message_id,
            mode=self._expected.name,
            delivery=self._delivery,
            resume_url=self._resume_url,
            session_uuid=self._exchange.session_uuid,
            opens_session=self._exchange.opens_session,
            assistant_message_uuid=self._exchange.assistant_message_uuid,
        )

    def _final(
        self, outcome: Outcome, last_seq: int | None, coming: Sequence[ReaderEvent] = ()
    ) -> FinalReply:
        """coming: the events that its readers have not heard yet."""
        reply, error = self._reply, outcome.error
        noted, tool_calls = self._noted, self._tool_calls
        return FinalReply(
            assistant_message_id=self._exchange.assistant_message_id,
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
            epoch=self._exchange.epoch,
            charge=None if self._tab is None else self._tab.charge(self._reply),
            event_lengths=None if noted is None else packed([*noted.lengths, *lengths_of(coming)]),
            seams=reply.seams,
        )

    def _terminal(self, outcome: Outcome) -> Terminal:
        ending = Ending(
            assistant_message_id=self._exchange.assistant_message_id,
            full_content=self._text,
            mode=self._asked.name,
            delivery=self._delivery,
            model=self._model,
            usage=self._earlier.and_usage(self._reply.usage),
            ttft_ms=self._reply.ttft_ms,
            tokens_per_s=self._reply.tokens_per_s,
            assistant_message_uuid=self._exchange.assistant_message_uuid,
            continued=self._reply.seams,
        )
        if (error := outcome.error) is not None:
            return Failed(outcome.reason, error.code, str(error), error.retryable, ending)
        if outcome.status == "cancelled":
            return Cancelled(outcome.reason, ending)
        return Finished(outcome.reason, ending)
