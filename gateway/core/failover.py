"""One reply from whoever can give it: while nothing was seen of it, the next transport may be asked."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

from gateway.contract.errors import RequestRejected, TimedOut, TransportError
from gateway.contract.events import Done
from gateway.contract.requests import ChatRequest
from gateway.contract.suspects import ask_again
from gateway.contract.transport import Hear, Transport, TransportInfo
from gateway.core.reply_accumulator import ReplyAccumulator

log = logging.getLogger("sluice.replies")

LEAST_SHARE = 0.05
"""Of the deadline: with less than that left nobody else is asked, who would only be blamed for the rest."""

OnFirst = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Route:
    """A transport to ask for one reply, and what to expect of it.

    trial: entered around the asking; what it gives is called at the first thing there is to see. onward: to
    whoever could be asked now if this one failed, None for nobody. blame: called with this one's error if it
    broke off over a request that the next one then answered.
    """

    transport: Transport
    info: TransportInfo
    trial: Callable[[], AbstractContextManager[OnFirst | None]] = nullcontext
    onward: Callable[[], "Route | None"] = lambda: None
    blame: Callable[[TransportError], None] = lambda _: None


def fitting(route: Route, request: ChatRequest) -> Route:
    """The first route from this one on that can carry `request`; RequestRejected if none can."""
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


async def first_answer(
    route: Route,
    reply: ReplyAccumulator,
    request: ChatRequest,
    hear: Hear,
) -> Done:
    """Ask this route's transport, and onward the next while transports fail and nothing was seen.

    One deadline is for all of it. Raises what the transport that was asked last raised, or what
    `ask_again` makes of it. reply: hears what `hear` lets through.
    """
    clock = asyncio.get_running_loop()
    ends_at = clock.time() + request.deadline_s
    asked = request
    blame: OnFirst | None = None
    while True:
        deadline = asyncio.timeout_at(ends_at)
        reply.begin(route.info)
        try:
            with route.trial() as answered:
                reply.on_first = _both(answered, blame)
                try:
                    async with deadline:
                        return await route.transport.answer(asked, hear)
                except TimeoutError as error:
                    if not deadline.expired():
                        raise
                    raise TimedOut(f"The reply took longer than {request.deadline_s:g} s.") from error
        except TransportError as error:
            left_s = ends_at - clock.time()
            over = reply.first_at is not None or left_s < LEAST_SHARE * request.deadline_s or _is_cancelled()
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


def _both(answered: OnFirst | None, blame: OnFirst | None) -> OnFirst | None:
    if blame is None:
        return answered

    def on_first() -> None:
        if answered is not None:
            answered()
        blame()

    return on_first


def _is_cancelled() -> bool:
    """Whether somebody stopped this reply, while its transport was cleaning up or failing anyway."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
