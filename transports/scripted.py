"""A transport that follows a script: for tests, and as the shortest example of a Transport."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from gateway.contract.errors import GatewayError, Interrupted
from gateway.contract.events import Delta, Done, Granularity, TransportEvent
from gateway.contract.reattach import Handle, Reattach
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities, Health, Hear, TransportInfo

Step = Sequence[TransportEvent | Done] | GatewayError | Callable[[], Awaitable[object]]
Script = Callable[[ChatRequest], Iterable[Step]]


def whole(text: str) -> list[Step]:
    """Return a script's steps for a reply that arrives in one piece."""
    return [[Done("stop", whole=[Delta(text)] if text else [])]]


def tokens(*texts: str) -> list[Step]:
    """Return a script's steps for a reply of one batch per token."""
    return [*([Delta(text)] for text in texts), [Done("stop")]]


class ScriptedTransport:
    """Follows `script` for each request.

    It continues a reply that another transport with the same `kept` began, by following the script again. A
    step is one of: a batch of events to push, whose last may be the Done to return; an error to raise; a
    function to await, such as an asyncio.Event's `wait`. A script that ends without a Done stays silent until
    the reply is stopped.
    """

    def __init__(
        self,
        script: Script,
        *,
        name: str = "scripted",
        granularity: Granularity = "token",
        abilities: Abilities | None = None,
        kept: dict[str, ChatRequest] | None = None,
    ) -> None:
        self._script = script
        self._abilities = abilities
        self._kept = {} if kept is None else kept
        self._info = TransportInfo(name, granularity)
        self._idle = asyncio.Event()
        self._idle.set()
        self.open_requests: list[ChatRequest] = []
        self.seen_requests: list[ChatRequest] = []

    @property
    def info(self) -> TransportInfo:
        return self._info

    @property
    def abilities(self) -> Abilities:
        return self._abilities or Abilities(health=self.health, reattach=self.reattach, stop=self.stop)

    async def health(self) -> Health:
        return Health(True, "scripted")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        if (kept := request.reattachable) is not None:
            self._kept[kept.conversation_id] = request
        return await self._answer(request, hear)

    async def reattach(self, wanted: Reattach, hear: Hear) -> Done:
        """See Abilities."""
        request = self._kept.get(str(wanted.handle.get("conversation_id")))
        if request is None:
            raise Interrupted("The gateway ended before the reply did, and the script does not have it.")
        return await self._answer(request, hear)

    def stop(self, handle: Handle, epoch: int) -> None:
        """See Abilities."""
        self._kept.pop(str(handle.get("conversation_id")), None)

    async def _answer(self, request: ChatRequest, hear: Hear) -> Done:
        self.open_requests.append(request)
        self.seen_requests.append(request)
        self._idle.clear()
        try:
            return await _follow(self._script(request), hear)
        finally:
            self.open_requests.remove(request)
            if not self.open_requests:
                self._idle.set()

    async def idle(self) -> None:
        """Wait until no reply is open."""
        await self._idle.wait()


async def _follow(steps: Iterable[Step], hear: Hear) -> Done:
    for step in steps:
        if isinstance(step, GatewayError):
            raise step
        if callable(step):
            await step()
            continue
        events = [event for event in step if not isinstance(event, Done)]
        if events and (busy := hear(events)) is not None:
            await busy
        last = step[-1]
        if isinstance(last, Done):
            return last
    await asyncio.Event().wait()
    raise AssertionError
