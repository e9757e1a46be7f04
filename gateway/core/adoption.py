"""Continues the running replies of gateways that have died, or of an earlier start of this one."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from functools import partial

from gateway.contract.adoption import LeftReply, OrphanedReply
from gateway.contract.continued import EPOCH_EVENTS
from gateway.contract.ended_reply import OnEnded
from gateway.contract.errors import Draining, Interrupted, StorageFailed
from gateway.contract.exchanges import FinalReply, StoredError
from gateway.contract.journal import START, Position
from gateway.contract.limits import Places, StreamPlace
from gateway.contract.store import MessageStore
from gateway.contract.traces import NO_TRACES, BegunReply, ReplyTraces
from gateway.contract.transport import TransportInfo
from gateway.core.adopted_reply import AdoptedReply, earlier_part
from gateway.core.budgets import Budgets, Tab
from gateway.core.failover import Routes
from gateway.core.rate_limits import AllowanceOf
from gateway.core.reply_launch import ReplyLaunch
from gateway.core.reply_task import ReplyTask
from gateway.core.run import Run
from gateway.core.runs import Runs
from gateway.core.stored_handle import StoredHandle

log = logging.getLogger("sluice.adoption")

OTHERS_TURN_S = 0.1
"""Pause between two parts of a dead gateway's replies, in which other gateways take theirs."""

MAX_EPOCHS = 900
"""A reply that was taken over more often is interrupted: its event ids would have no numbers left."""

OnChat = Callable[[str, OrphanedReply], None]
"""Called with the Idempotency-Key of a device's chat and its reply, which continues here."""

OnTaken = Callable[[LeftReply], None]
"""Called with each reply that is taken over, also if it is interrupted. It must not block or raise."""


class Adoption:
    """Takes over replies.

    Args:
        store: has the replies.
        routes: has the transports.
        places: of simultaneous replies.
        resume_url: returns the URL for resuming a stream, from stream id and user id.
        adopt_s: seconds within which a transport must have a reply again; then it is interrupted.
        allowance_of: returns the limits of a user, or of a key of the user; None for no limits.
        budgets: of API keys; None for no limits of tokens.
        clock: seconds, monotonic.
        now: seconds since the epoch.

    Attributes:
        on_chat: see OnChat.
        on_taken: see OnTaken.
    """

    def __init__(
        self,
        store: MessageStore,
        runs: Runs,
        routes: Routes,
        launch: ReplyLaunch,
        places: Places,
        *,
        resume_url: Callable[[str, str], str],
        adopt_s: float,
        allowance_of: AllowanceOf = lambda *_: None,
        on_ended: OnEnded = lambda _: None,
        budgets: Budgets | None = None,
        traces: ReplyTraces = NO_TRACES,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._runs = runs
        self._routes = routes
        self._launch = launch
        self._places = places
        self._resume_url = resume_url
        self._adopt_s = adopt_s
        self._allowance_of = allowance_of
        self._on_ended = on_ended
        self._budgets = budgets
        self._traces = traces
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._can_begin = asyncio.Event()
        self._has_begun = asyncio.Event()
        self.on_chat: OnChat = lambda *_: None
        self.on_taken: OnTaken = lambda _: None

    async def begin(self, *, alone: bool) -> None:
        """Call it when runs can be started. alone: no other gateway can live, so take over all replies.

        Nothing is asked of a transport before it returns, so that the gateway listens sooner.
        """
        self._can_begin.set()
        if alone:
            await self.take_over(None)
        self._has_begun.set()

    async def take_over(self, dead: Collection[str] | None) -> int:
        """Continue all running replies of these owners, of all others if None. Return their number.

        Replies without a handle end as `interrupted`, and later those that cannot be continued. A gateway
        that is stopping takes none. Raises StorageFailed.
        """
        await self._can_begin.wait()
        count = 0
        while not self._runs.draining and (some := await self._take_some(dead)) > 0:
            count += some
            if dead is not None:
                await self._sleep(OTHERS_TURN_S)
        return count

    async def _take_some(self, dead: Collection[str] | None) -> int:
        taken = await self._store.adopt(dead)
        if taken.interrupted:
            log.warning(
                "replies that were still running when their gateway ended, marked as interrupted: %d",
                len(taken.interrupted),
            )
            for left in taken.interrupted:
                self.on_taken(left)
        if taken.replies:
            log.info("continued replies of a gateway that has ended: %d", len(taken.replies))
        for orphan in taken.replies:
            ids, stream_id = orphan.exchange, orphan.message.stream_id or ""
            self.on_taken(LeftReply(ids.session_id, stream_id, orphan.message.id, ids.user_message_id))
            try:
                if orphan.message.epoch > MAX_EPOCHS:
                    await self._interrupt(orphan)
                else:
                    self._go_on(orphan)
            except Draining:
                break  # this gateway owns them now, and leaves them to the one that takes over its replies
            except Exception:
                # A bug in one reply must not keep the gateway from its start.
                log.exception("stream %s could not be continued", orphan.message.stream_id)
                await self._interrupt(orphan)
        return len(taken.replies)

    def _go_on(self, orphan: OrphanedReply) -> None:
        handle = StoredHandle(orphan.handle)
        kept, facts = orphan.message, handle.facts
        stream_id = kept.stream_id or ""
        tab = None
        if self._budgets is not None and facts.key_id is not None:
            tab = Tab(self._budgets, facts.key_id, facts.prompt_chars, kept=True)
        earlier = earlier_part(kept, facts)
        transport = self._routes.transport_named(facts.mode)
        name = facts.mode or kept.mode or ""
        reply = ReplyTask(
            stream_id,
            orphan.exchange,
            TransportInfo(name, "token") if transport is None else transport.info,
            self._store,
            delivery=kept.delivery or "token",
            resume_url=self._resume_url(stream_id, orphan.user_id) if facts.resumable else None,
            handle=handle,
            exact_events=facts.exact,
            earlier=earlier,
            tab=tab,
            on_ended=self._on_ended,
            clock=self._clock,
            sleep=self._sleep,
        )
        adopted = AdoptedReply(
            reply,
            transport,
            facts,
            age_s=max(0.0, self._now() - facts.asked_at) if facts.asked_at else 0.0,
            adopt_s=self._adopt_s,
            clock=self._clock,
            sleep=self._sleep,
        )

        async def make(run: Run) -> None:
            await self._has_begun.wait()
            await reply.make(run, partial(adopted.receive, run), None)

        run = self._launch.start(
            reply,
            orphan.user_id,
            make,
            unattended=facts.unattended,
            dialect=facts.dialect,
            begins_at=START if facts.exact else Position(kept.epoch * EPOCH_EVENTS, 0),
            place=self._place(orphan.user_id, facts.key_id),
        )
        run.span = self._traces.reply(
            BegunReply(
                stream_id=stream_id,
                session_key=orphan.exchange.session_key,
                trace=facts.trace,
                transport=name,
                dialect=facts.dialect,
                model_asked=facts.model,
            )
        )
        run.adopt()
        adopted.begin(run, kept, earlier)
        self._runs.expect_reader(run)
        if facts.chat is not None:
            self.on_chat(facts.chat, orphan)

    def _place(self, user_id: str, key_id: int | None) -> StreamPlace | None:
        allowance = self._allowance_of(user_id, key_id)
        return None if allowance is None else self._places.take_over(allowance.streams)

    async def _interrupt(self, orphan: OrphanedReply) -> None:
        """Store the end of a reply that could not be started."""
        kept = orphan.message
        error = Interrupted("The gateway ended before the reply did; its text up to then is stored.")
        final = FinalReply(
            assistant_message_id=kept.id,
            status="interrupted",
            reason="interrupted",
            content=kept.content,
            reasoning=kept.reasoning,
            delivery=kept.delivery or "token",
            mode=kept.mode or "",
            error=StoredError(error.code, str(error), error.retryable),
            epoch=kept.epoch,
        )
        try:
            await self._store.finish(final)
        except StorageFailed:
            self._store.finish_later(final)
