"""One request at one of several servers."""

import asyncio
from collections.abc import Awaitable, Sequence

from gateway.contract.errors import Unreachable
from gateway.contract.events import Done, TransportEvent
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Hear
from transports.llama.event_lists import is_visible
from transports.llama.known_server import KnownServer


class ServerAttempt:
    """Sends the request to `known`, and can be given up while nothing of the reply is visible.

    seen: readers can see something of the reply, so no other server may be tried.
    """

    __slots__ = ("_hear", "_known", "_patience", "passed_over", "request", "seen")

    def __init__(
        self, known: KnownServer, request: ChatRequest, hear: Hear, passed_over: Sequence[KnownServer]
    ) -> None:
        self._known = known
        self._hear = hear
        self._patience = asyncio.timeout(None)
        self.request = request
        self.passed_over = passed_over
        self.seen = False

    async def answer(self) -> Done:
        """See Transport.answer. Raises Unreachable if the attempt was given up."""
        known = self._known
        known.open += 1
        known.waiting.add(self)
        try:
            async with self._patience:
                return await known.server.answer(self.request, self._hear_first)
        except TimeoutError as error:
            if not self._patience.expired():
                raise
            silent = Unreachable("the model server does not answer any more")
            silent.broke_off = 1
            raise silent from error
        finally:
            known.open -= 1
            known.waiting.discard(self)

    def give_up(self) -> None:
        self._known.waiting.discard(self)
        self._patience.reschedule(asyncio.get_running_loop().time())

    def _hear_first(self, events: Sequence[TransportEvent]) -> Awaitable[None] | None:
        if not self.seen:
            if self._patience.expired():
                return None
            if is_visible(events):
                self.seen = True
                self._patience.reschedule(None)
                self._known.waiting.discard(self)
        return self._hear(events)
