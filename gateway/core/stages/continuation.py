"""Goes on with a reply whose model server or worker fails in the middle: another one continues its text."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence

from gateway.contract.crashing_requests import ask_again
from gateway.contract.errors import TransportError
from gateway.contract.events import Delta, Done, ToolCall, TransportEvent
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.stage import Next, Stage
from gateway.contract.transport import Hear
from gateway.core.cancelled import is_cancelled

log = logging.getLogger("sluice.replies")

MAX_SEAMS = 3
"""Times that one reply is continued."""

LEAST_S = 2.0
"""Seconds of the deadline that must be left."""


class Continuation(Stage):
    """Asks again after a failure in the middle of a text.

    The text so far is the last turn, role assistant, which the model continues; Done.continued has the places
    at which it went on. A reply with tool calls, or with reasoning and no text yet, is not continued, nor one
    that continues a stored reply. If nobody can go on, the error of the first failure is raised.

    by_default: for requests that do not tell `continue_on_failure`.
    """

    def __init__(self, by_default: bool) -> None:
        self._by_default = by_default

    async def answer(self, request: ChatRequest, hear: Hear, next: Next) -> Done:
        wanted = self._by_default if request.continue_on_failure is None else request.continue_on_failure
        if not wanted or request.raw or request.turns[-1].role == "assistant":
            return await next(request, hear)
        text = _Text(hear)
        asked, first_failure, seams = request, None, list[int]()
        ends_at = asyncio.get_running_loop().time() + request.deadline_s
        while True:
            try:
                done = await next(asked, text.hear)
            except TransportError as error:
                first_failure = first_failure or error
                left_s = ends_at - asyncio.get_running_loop().time()
                new = text.chars - (seams[-1] if seams else 0)
                is_last = len(seams) == MAX_SEAMS or left_s < LEAST_S
                if is_last or not new or not text.can_go_on or is_cancelled():
                    raise first_failure from None
                asked = replace(ask_again(asked, error), deadline_s=left_s)
                if (kept := asked.reattachable) is not None:
                    kept.keep_handle({})  # the other server does not have the beginning
                turns = [*request.turns, Turn("assistant", text.so_far)]
                asked = replace(asked, turns=turns, cache="off", reattachable=None)
                seams.append(text.chars)
                log.warning("stream %s: asked again after %d characters: %s", request.id, text.chars, error)
            else:
                return done if not seams else await _told_from(done, text, seams)


class _Text:
    """Collects the text of a reply on its way to `hear`."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._texts: list[str] = []
        self.chars = 0
        self.can_go_on = True

    @property
    def so_far(self) -> str:
        return "".join(self._texts)

    def hear(self, events: Sequence[TransportEvent]) -> Awaitable[None] | None:
        for event in events:
            if isinstance(event, Delta):
                self._texts.append(event.text)
                self.chars += len(event.text)
            elif isinstance(event, ToolCall):
                self.can_go_on = False
        return self._hear(events)


async def _told_from(done: Done, text: _Text, seams: Sequence[int]) -> Done:
    """Push a reply that arrived in one piece, without the text so far, which some servers repeat."""
    so_far = text.so_far
    for event in done.whole or ():
        rest = Delta(event.text.removeprefix(so_far)) if isinstance(event, Delta) else event
        if rest != Delta("") and (busy := text.hear([rest])) is not None:
            await busy
    return replace(done, whole=None, continued=tuple(seams))
