"""Stores each question and starts the run that produces its reply."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial

from gateway.contract.ended_reply import OnEnded
from gateway.contract.errors import Draining
from gateway.contract.exchanges import Exchange, IdempotencyClaim
from gateway.contract.journal import START
from gateway.contract.limits import Places, StreamPlace
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest
from gateway.contract.stage import Stage
from gateway.contract.store import MessageStore
from gateway.contract.traces import NO_TRACES, ReplyTraces
from gateway.contract.transport import delivery_of
from gateway.core.adoption import Adoption
from gateway.core.budgets import Budgets, Tab, prompt_chars
from gateway.core.checkpoints import Checkpoints
from gateway.core.continuing import continued
from gateway.core.earlier_turns import carried
from gateway.core.failover import Routes, first_answer, fitting
from gateway.core.history import History
from gateway.core.idempotency import Idempotency
from gateway.core.limits import Limits
from gateway.core.new_handle import new_handle
from gateway.core.question import Question
from gateway.core.rate_limits import Allowance, AllowanceOf
from gateway.core.reply_launch import ReplyLaunch
from gateway.core.reply_span import reply_span
from gateway.core.reply_store import DiscardingStore, ReplyStore
from gateway.core.reply_task import ReplyTask
from gateway.core.routed_request import RoutedRequest, new_exchange
from gateway.core.run import SHUTDOWN, Run
from gateway.core.runs import Runs
from gateway.core.session_news import SessionNews
from gateway.core.stages.order import expected_delivery, through
from gateway.core.stored_handle import StoredHandle
from gateway.core.stream_places import StreamPlaces


class Conversations:
    """Stores questions and starts their replies.

    Args:
        resume_url: returns the URL for resuming a stream, from stream id and user id.
        new_id: returns 32 hex digits, unguessable and never the same.
        clock: seconds, monotonic.
        now: seconds since the epoch.
        stages: in the order in which requests pass them.
        on_ended: called with the measurements of each reply at its end.
        budgets: of API keys; None for no limits of tokens.
        traces: makes the replies' spans.
        places: of simultaneous replies; None for ones of its own.

    Attributes:
        history: reads the turns that the model gets.
    """

    def __init__(
        self,
        store: MessageStore,
        runs: Runs,
        routes: Routes,
        limits: Limits,
        checkpoints: Checkpoints,
        news: SessionNews,
        *,
        resume_url: Callable[[str, str], str],
        new_id: Callable[[], str],
        clock: Callable[[], float],
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        stages: Sequence[Stage] = (),
        allowance_of: AllowanceOf = lambda *_: None,
        on_ended: OnEnded = lambda _: None,
        budgets: Budgets | None = None,
        places: Places | None = None,
        traces: ReplyTraces = NO_TRACES,
    ) -> None:
        self._store = store
        self._runs = runs
        self._routes = routes
        self._limits = limits
        self.history = History(store, limits)
        self._news = news
        self._launch = ReplyLaunch(runs, checkpoints, news, routes.transport_named)
        self._claims = Idempotency(store)
        self.places = places or StreamPlaces()
        self._allowance_of = allowance_of
        self._on_ended = on_ended
        self._budgets = budgets
        self._traces = traces
        self._resume_url = resume_url
        self._new_id = new_id
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._stages = stages

    def adoption(self, adopt_s: float) -> Adoption:
        """Return the object that takes over replies, which end as the ones that begin here."""
        return Adoption(
            self._store,
            self._runs,
            self._routes,
            self._launch,
            self.places,
            resume_url=self._resume_url,
            adopt_s=adopt_s,
            allowance_of=self._allowance_of,
            on_ended=self._on_ended,
            budgets=self._budgets,
            traces=self._traces,
            clock=self._clock,
            now=self._now,
            sleep=self._sleep,
        )

    async def ask(self, question: Question) -> str:
        """Store the question and start its reply. Return the stream's id; follow it before the next await.

        A repeated idempotency claim returns the existing stream, which may have ended and be only in the
        store; its key with another body raises Conflict. Raises RequestRejected, TransportError, Draining or
        StorageFailed if the reply cannot begin; then nothing is stored and the key is not used.
        """
        claim = question.idempotency
        if claim is None:
            return await self._begin(question)
        return await self._claims.once(question.user_id, claim, lambda: self._begin(question))

    async def asked_before(self, user_id: str, claim: IdempotencyClaim) -> str | None:
        """Return the stream of this idempotency claim; None if it was not used. Starts nothing.

        Raises Conflict if its key was used with another body.
        """
        return await self._claims.existing(user_id, claim)

    async def rehearse(self, question: Question) -> str:
        """Start a reply without storing it or the question. Return the stream's id; follow it before the
        next await."""
        return await self._begin(replace(question, cache="off"), kept=False)

    @asynccontextmanager
    async def occupying(self, user_id: str, allowance: Allowance | None) -> AsyncIterator[None]:
        """Count other work, such as embeddings, as one of the user's simultaneous replies during the block. A
        stop of the gateway waits for it too.

        Raises Draining, TooManyStreams and TokenBudgetExceeded. allowance: as in Question.
        """
        with await self._take_place(user_id, allowance) or nullcontext(), self._runs.other_work():
            yield

    async def _take_place(self, user_id: str, allowance: Allowance | None) -> StreamPlace | None:
        self._runs.refuse_new()
        allowance = allowance or self._allowance_of(user_id)
        if allowance is None:
            return None
        if self._budgets is not None:
            self._budgets.check(allowance)
        return await self.places.take(allowance.streams)

    async def _begin(self, question: Question, *, kept: bool = True) -> str:
        place = await self._take_place(question.user_id, question.allowance)
        try:
            return await self._start(question, place, self._store if kept else DiscardingStore())
        except BaseException:
            if place is not None:
                place.leave()
            raise

    async def _start(self, question: Question, place: StreamPlace | None, store: ReplyStore) -> str:
        routed = await self._routed(question)
        handle = self._handle(question, routed) if store is self._store else None
        exchange = await store.begin(new_exchange(question, routed, handle))
        reply = self._reply(question, routed, handle, exchange, store)
        try:
            run = self._launch.start(
                reply,
                question.user_id,
                self._making(question, routed, reply),
                unattended=question.unattended,
                dialect=question.dialect,
                begins_at=START if routed.goes_on is None else routed.goes_on.end,
                place=place,
                is_stored=store is self._store,
            )
        except Draining:
            await reply.keep(SHUTDOWN)
            raise
        run.span = reply_span(self._traces, run, question, routed.route.info.name)
        reply.begin(run)
        self._launch.publish_begin(question, exchange, run.stream_id)
        return run.stream_id

    async def _routed(self, question: Question) -> RoutedRequest:
        """Return the request for the model, with the conversation so far, and the transport that gets it."""
        route = self._routes.route(question.model)
        goes_on = None if question.continues is None else continued(question.continues)
        stream_id = self._new_id() if goes_on is None else goes_on.stream_id
        self._runs.refuse_if_running(stream_id)
        conversation = await self.history.conversation(question)
        request = ChatRequest(
            id=stream_id,
            turns=conversation.turns,
            sampling=question.sampling,
            model=question.model,
            deadline_s=self._limits.deadline_s,
            user=question.user_id,
            cache=question.cache if goes_on is None else "off",
            raw=question.raw,
            continue_on_failure=question.continue_on_failure,
            is_stored=conversation.is_stored,
        )
        if question.turns is None:
            route, request = carried(route, request)
        else:
            route = fitting(route, request)
        delivery = expected_delivery(self._stages, request) or delivery_of(route.info)
        return RoutedRequest(request, route, delivery, goes_on)

    def _handle(self, question: Question, routed: RoutedRequest) -> StoredHandle | None:
        """Return the handle with which another gateway can continue the reply; None if it ends with its
        readers."""
        needs_no_reader = question.unattended or self._runs.needs_no_reader(question.session_id)
        if question.resumable or needs_no_reader:
            return new_handle(question, routed.request, routed.route, self._now())
        return None

    def _reply(
        self,
        question: Question,
        routed: RoutedRequest,
        handle: StoredHandle | None,
        exchange: Exchange,
        store: ReplyStore,
    ) -> ReplyTask:
        stream_id = routed.request.id
        return ReplyTask(
            stream_id,
            exchange,
            routed.route.info,
            store,
            delivery=routed.delivery,
            resume_url=self._resume_url(stream_id, question.user_id) if question.resumable else None,
            handle=handle,
            exact_events=question.exact_events,
            earlier=routed.goes_on,
            tab=self._tab(question, routed.request, kept=store is self._store),
            on_ended=self._on_ended,
            clock=self._clock,
            sleep=self._sleep,
        )

    def _tab(self, question: Question, request: ChatRequest, *, kept: bool) -> Tab | None:
        key_id = None if question.allowance is None else question.allowance.key_id
        if self._budgets is None or key_id is None:
            return None
        return Tab(self._budgets, key_id, prompt_chars(request), kept=kept)

    def _making(
        self, question: Question, routed: RoutedRequest, reply: ReplyTask
    ) -> Callable[[Run], Awaitable[None]]:
        """Return the function that asks the model, through all stages, and receives its answer."""
        handle = reply.handle

        async def make(run: Run) -> None:
            request = replace(
                routed.request,
                session=reply.exchange.session_key,
                trace=run.span.trace,
                reattachable=None if handle is None else handle.reattachable,
            )
            reply.reply.mode, reply.reply.model_asked = routed.route.mode, request.model
            ask = through(self._stages, partial(first_answer, routed.route, reply.reply))
            await reply.make(run, partial(ask, request), question.pace)

        return make
