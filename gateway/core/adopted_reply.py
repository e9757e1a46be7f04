"""Receives the rest of a reply that another gateway began."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.contract.continued import ReplySoFar
from gateway.contract.errors import Interrupted, TimedOut, TransportError
from gateway.contract.events import Done
from gateway.contract.journal import Position
from gateway.contract.reattach import Reattach
from gateway.contract.record import replace
from gateway.contract.store import StoredMessage
from gateway.contract.transport import Hear, Transport
from gateway.core.known_part import Rejoin
from gateway.core.reply_facts import ReplyFacts
from gateway.core.reply_task import ReplyTask
from gateway.core.run import Run

log = logging.getLogger("sluice.adoption")

FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 1.0


def earlier_part(kept: StoredMessage, facts: ReplyFacts) -> ReplySoFar | None:
    """Return the part before the place where the reply was continued last; None for a reply that was not."""
    if not kept.places:
        return None
    return replace(
        kept.so_far(),
        content=kept.content[: kept.places[-1].chars],
        reasoning=(kept.reasoning or "")[: facts.earlier_thoughts] or None,
        places=kept.places,
    )


class AdoptedReply:
    """Continues one reply.

    Args:
        reply: its task, which has a handle.
        transport: that had its request; None if it is not set up any more.
        facts: of the reply.
        age_s: seconds since its question.
        adopt_s: seconds within which the transport must have it, at first and after each loss.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        reply: ReplyTask,
        transport: Transport | None,
        facts: ReplyFacts,
        *,
        age_s: float,
        adopt_s: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._reply = reply
        self._transport = transport
        self._facts = facts
        self._age_s = age_s
        self._adopt_s = adopt_s
        self._clock = clock
        self._sleep = sleep
        self._text = self._reasoning = ""
        self._is_told = True

    def begin(self, run: Run, kept: StoredMessage, earlier: ReplySoFar | None) -> None:
        """Append the stored part to the journal. Call it before the next await after the run's start."""
        reply, facts = self._reply.reply, self._facts
        self._text = kept.content[len(earlier.content) :] if earlier is not None else kept.content
        self._reasoning = (kept.reasoning or "")[facts.earlier_thoughts :]
        reply.mode, reply.model_asked = facts.chosen_mode, facts.model
        self._is_told = self._reply.begin_again(run, kept)
        told = (self._text, self._reasoning) if self._is_told else ("", "")
        reply.restore(*told, age_s=self._age_s, first_s=facts.first_s)
        if self._transport is not None:
            reply.begin(self._transport.info)
        run.counts_from = run.journal.last_seq - (run.opening is None)
        if earlier is not None:
            place = kept.places[-1]
            run.begins_at = Position(place.seq, place.chars, facts.earlier_thoughts)

    async def receive(self, run: Run, hear: Hear) -> Done:
        """Receive the rest and return when the reply is complete.

        Raises TimedOut at the reply's deadline, and Interrupted if the generator does not have the reply any
        more, cannot be reached, or has another one.
        """
        deadline_s = max(self._adopt_s, self._facts.deadline_s - self._age_s)
        try:
            async with asyncio.timeout(deadline_s) as deadline:
                return await self._reattached(run, hear, deadline_s)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise TimedOut(f"The reply took longer than {self._facts.deadline_s:g} s.") from error

    async def _reattached(self, run: Run, hear: Hear, deadline_s: float) -> Done:
        if self._transport is None:
            raise Interrupted("The gateway ended before the reply did, and its mode is not set up any more.")
        give_up_at = self._clock() + self._adopt_s
        ends_at = self._clock() + deadline_s
        pause_s = FIRST_PAUSE_S
        while True:
            attempt = self._attempt(hear)
            try:
                now = self._clock()
                return await self._ask(run, self._transport, attempt, ends_at - now, give_up_at - now)
            except TransportError as error:
                if attempt.failure is not None:
                    raise
                if attempt.is_new:
                    give_up_at, pause_s = self._clock() + self._adopt_s, FIRST_PAUSE_S
                if self._clock() + pause_s >= give_up_at:
                    raise Interrupted(
                        f"The gateway ended before the reply did, and it cannot be continued: {error}"
                    ) from error
                log.debug("stream %s cannot be continued yet: %s", run.stream_id, error)
            await self._sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    def _attempt(self, hear: Hear) -> Rejoin:
        """Return the comparison with all that there is so far."""
        made = self._reply.reply
        if self._is_told or made.text or made.reasoning or made.tool_calls:
            self._text, self._reasoning, self._is_told = made.text, made.reasoning or "", True
        return Rejoin(hear, self._text, self._reasoning, len(made.tool_calls), is_told=self._is_told)

    async def _ask(
        self, run: Run, transport: Transport, attempt: Rejoin, left_s: float, find_within_s: float
    ) -> Done:
        handle = self._reply.handle
        assert handle is not None  # noqa: S101 - without one the store has interrupted the reply
        self._reply.handle_now()
        handle.is_current = lambda: attempt.is_new
        done = await transport.abilities.reattach(
            Reattach(
                id=run.stream_id,
                handle=handle.handle,
                epoch=self._reply.exchange.epoch,
                deadline_s=left_s,
                reattachable=handle.reattachable,
                begins_at_checkpoint=attempt.begin_at_end,
                trace=run.span.trace,
                find_within_s=find_within_s,
            ),
            attempt.hear,
        )
        if done.whole is not None:
            attempt.hear(done.whole)
            done = replace(done, whole=())
        attempt.check_end()
        return done
