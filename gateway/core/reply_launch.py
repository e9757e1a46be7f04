"""Starts the runs of replies, new ones and those that are taken over."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.contract.authors import Author
from gateway.contract.errors import StorageFailed
from gateway.contract.exchanges import Exchange
from gateway.contract.journal import Position
from gateway.contract.limits import StreamPlace
from gateway.contract.room_events import MessagePosted
from gateway.contract.transport import Transport
from gateway.core.checkpoints import Checkpoints
from gateway.core.question import Question
from gateway.core.reply_task import ReplyTask
from gateway.core.run import GOES_ON_ELSEWHERE, LEFT, USER_STOP, Outcome, Run
from gateway.core.runs import Runs
from gateway.core.session_news import ReplyEnded, ReplyStarted, SessionNews

TransportNamed = Callable[[str], Transport | None]
"""Returns the transport of a mode; None if it is not set up."""


class ReplyLaunch:
    """Starts runs whose replies are checkpointed, concluded and reported to their session.

    Args:
        transport_named: see TransportNamed.
    """

    def __init__(
        self, runs: Runs, checkpoints: Checkpoints, news: SessionNews, transport_named: TransportNamed
    ) -> None:
        self._runs = runs
        self._checkpoints = checkpoints
        self._news = news
        self._transport_named = transport_named

    def start(
        self,
        reply: ReplyTask,
        user_id: str,
        make: Callable[[Run], Awaitable[None]],
        *,
        unattended: bool,
        dialect: str,
        begins_at: Position,
        place: StreamPlace | None,
        is_stored: bool = True,
    ) -> Run:
        """Start a run. Raises Draining.

        Args:
            reply: produced by the run.
            user_id: who asked.
            make: awaited by the run; see ReplyTask.make.
            unattended, dialect, begins_at: as in Run.
            place: of the reply among its user's simultaneous ones; left at its end.
            is_stored: False for a rehearsal.
        """
        if reply.handle is not None:
            reply.handle.on_replaced = lambda: self._checkpoints.replace_handle(reply)

        async def work(run: Run) -> None:
            if is_stored:
                self._checkpoints.watch(reply)
            await make(run)

        async def conclude(run: Run) -> Outcome:
            if run.outcome is LEFT:
                with suppress(StorageFailed):  # then its next owner has the text of the last checkpoint
                    await self._checkpoints.keep_all()
            self._checkpoints.leave(reply)
            if place is not None:
                place.leave()  # before the terminal event: its reader may send the next question at once
            outcome = await reply.conclude(run)
            self._forget_kept(reply, run, outcome)
            if outcome not in GOES_ON_ELSEWHERE:
                id = reply.exchange.assistant_message_id
                ended = ReplyEnded(reply.stream_id, id, outcome.status, outcome.reason)
                self._news.publish(reply.exchange.session_id, ended)
            return outcome

        run = self._runs.start(
            reply.stream_id,
            user_id,
            work,
            conclude,
            exchange=reply.exchange,
            resume_url=reply.resume_url,
            unattended=unattended,
            dialect=dialect,
            begins_at=begins_at,
        )
        if reply.handle is not None:
            reply.handle.may_be_left = lambda: self._runs.fenced and run.outcome is not USER_STOP
            if reply.resume_url is not None:
                run.leave = reply.handle.leave
        return run

    def publish_begin(self, question: Question, exchange: Exchange, stream_id: str) -> None:
        """Report a new reply to its session."""
        if exchange.new_question and exchange.asked_at is not None:
            asked = MessagePosted(
                exchange.user_message_id,
                exchange.question_uuid,
                question.author or Author("user", question.user_id),
                "user",
                question.content,
                exchange.asked_at,
                client_id=question.client_id,
            )
            self._news.publish(exchange.session_id, asked)
        started = ReplyStarted(stream_id, exchange.assistant_message_id, exchange.user_message_id)
        self._news.publish(exchange.session_id, started)

    def _forget_kept(self, reply: ReplyTask, run: Run, outcome: Outcome) -> None:
        """The reply has ended: its generator need not make or keep it any more."""
        handle, transport = reply.handle, self._transport_named(reply.mode)
        if handle is None or transport is None or outcome in GOES_ON_ELSEWHERE:
            return
        if run.is_adopted and outcome.status != "complete" and not handle.reattachable.is_left():
            # Its generator may not have been reached before the end.
            transport.abilities.stop(handle.handle, reply.exchange.epoch)
        if outcome.reason != "storage_failed":
            transport.abilities.forget(handle.handle, reply.exchange.epoch)
