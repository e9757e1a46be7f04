"""Failover: if a transport fails before the reply's first content, the next transport gets the request."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Protocol

from msgspec import Struct

from gateway.contract.crashing_requests import ask_again
from gateway.contract.errors import ContextExceeded, RequestRejected, TimedOut, TransportError
from gateway.contract.events import Done
from gateway.contract.light_timeout import LightTimeout
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Hear, Transport, TransportInfo
from gateway.core.cancelled import is_cancelled
from gateway.core.reply_accumulator import ReplyAccumulator
from gateway.core.shared_turns import alternating
from gateway.core.shorter_history import without_older_half

log = logging.getLogger("sluice.replies")

LEAST_SHARE = 0.05
"""Share of the deadline that must remain before another transport is tried."""

OnFirst = Callable[[], None]


class Route(Struct, frozen=True):
    """The transport for one reply, and the transports after it.

    Attributes:
        transport: gets the request.
        info: what to expect of the reply.
        mode: the gateway's mode when the route was chosen.
        trial: entered around the request; its value is called at the reply's first content.
        onward: returns the route to try if this one failed; None if there is none.
        blame: called with this transport's error if it disconnected after it received a request that the next
            transport then answered.
    """

    transport: Transport
    info: TransportInfo
    trial: Callable[[], AbstractContextManager[OnFirst | None]] = nullcontext
    onward: Callable[[], "Route | None"] = lambda: None
    blame: Callable[[TransportError], None] = lambda _: None
    mode: str = ""


class Routes(Protocol):
    """Chooses the transport: the methods of gateway.core.mode_selector.ModeSelector that replies use."""

    def route(self, model: str | None) -> Route: ...

    def transport_named(self, mode: str) -> Transport | None:
        """Return the transport of this mode; None if it is not set up."""
        ...


def fitting(route: Route, request: ChatRequest) -> Route:
    """Return the first route, from this one on, that accepts `request`. Raises RequestRejected if none
    does."""
    try:
        route.transport.abilities.check(request)
    except RequestRejected:
        onward = route.onward()
        if onward is None:
            raise
        return fitting(onward, request)
    return route


def _onward(route: Route, request: ChatRequest) -> Route | None:
    onward = route.onward()
    try:
        return None if onward is None else fitting(onward, request)
    except RequestRejected:
        return None


def _has_onward(route: Route, request: ChatRequest) -> bool:
    return _onward(route, request) is not None


async def first_answer(
    route: Route,
    reply: ReplyAccumulator,
    request: ChatRequest,
    hear: Hear,
) -> Done:
    """Get the reply from this route's transport, or from the next ones if it fails before the first content.

    All attempts share one deadline. Raises the error of the last transport, or that of `ask_again`.

    Args:
        route: where to begin.
        reply: receives the events, through `hear`.
        request: its deadline_s applies to all attempts together.
        hear: see Transport.answer.
    """
    clock = asyncio.get_running_loop()
    ends_at = clock.time() + request.deadline_s
    asked = request
    blame: OnFirst | None = None
    while True:
        deadline = LightTimeout(ends_at - clock.time())
        if route.mode == "auto":
            asked = replace(asked, other_answers=partial(_has_onward, route, asked))
        is_first = reply.asked is None
        reply.begin(route.info)
        if not is_first and (kept := asked.reattachable) is not None:
            kept.keep_handle({"conversation_id": kept.conversation_id})
        try:
            with route.trial() as answered:
                reply.on_first = _both(answered, blame)
                try:
                    with deadline:
                        return await _fitted_answer(route.transport, reply, asked, hear)
                except TimeoutError as error:
                    if not deadline.expired:
                        raise
                    raise TimedOut(f"The reply took longer than {request.deadline_s:g} s.") from error
        except TransportError as error:
            left_s = ends_at - clock.time()
            over = not reply.is_silent or left_s < LEAST_SHARE * request.deadline_s or is_cancelled()
            if not over:
                asked = ask_again(asked, error)
            onward = None if over else _onward(route, asked)
            if onward is None:
                raise
            blame = partial(route.blame, error) if error.broke_off else None
            log.warning(
                "stream %s: %s instead of %s: %s", request.id, onward.info.name, route.info.name, error
            )
        route = onward
        asked = replace(asked, deadline_s=left_s)


async def _fitted_answer(
    transport: Transport, reply: ReplyAccumulator, request: ChatRequest, hear: Hear
) -> Done:
    """Get the reply, without the session's oldest messages if the conversation is too long for the model.

    Stored turns of one role are merged last: of merged ones, none could be left out.
    """
    while True:
        several = request.is_stored and len(request.turns) > 1
        merged = replace(request, turns=alternating(request.turns)) if several else request
        try:
            return await transport.answer(merged, hear)
        except ContextExceeded:
            shorter = without_older_half(request) if reply.is_silent and not is_cancelled() else None
            if shorter is None:
                raise
            request = await _renamed(shorter)


async def _renamed(request: ChatRequest) -> ChatRequest:
    """Return the request under another conversation id, once that is stored. A worker takes an id once."""
    kept = request.reattachable
    if kept is None:
        return request
    stored: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    kept.renew(lambda id: None if stored.done() else stored.set_result(id))
    return replace(request, reattachable=replace(kept, conversation_id=await stored))


def _both(answered: OnFirst | None, blame: OnFirst | None) -> OnFirst | None:
    if blame is None:
        return answered

    def on_first() -> None:
        if answered is not None:
            answered()
        blame()

    return on_first
