"""A transport that says what it was told: for tests, and the shortest example of the seam."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from gateway.contract.errors import GatewayError
from gateway.contract.events import Delta, Done, Granularity, TransportEvent
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import EventStream, Health, TransportInfo

Step = Sequence[TransportEvent] | GatewayError | Callable[[], Awaitable[object]]
Script = Callable[[ChatRequest], Iterable[Step]]


def whole(text: str) -> list[Step]:
    """A script's steps for a reply that arrives in one piece."""
    return [[*([Delta(text)] if text else []), Done("stop", granularity="message")]]


def tokens(*texts: str) -> list[Step]:
    """A script's steps for a reply of one batch per token."""
    return [*([Delta(text)] for text in texts), [Done("stop")]]


class ScriptedTransport:
    """Follows `script` for each request.

    A step is a batch of events to say, an error to raise, or a function to await before going on (an
    asyncio.Event's `wait`, to hold a reply). A script that ends without a Done goes on in silence until the
    reply is stopped.
    """

    def __init__(self, script: Script, *, name: str = "scripted", granularity: Granularity = "token") -> None:
        self._script = script
        self._info = TransportInfo(name, granularity)
        self._idle = asyncio.Event()
        self._idle.set()
        self.open_requests: list[ChatRequest] = []
        self.seen_requests: list[ChatRequest] = []

    @property
    def info(self) -> TransportInfo:
        return self._info

    async def health(self) -> Health:
        return Health(True, "scripted")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    @asynccontextmanager
    async def open(self, request: ChatRequest) -> AsyncIterator[EventStream]:
        self.open_requests.append(request)
        self.seen_requests.append(request)
        self._idle.clear()
        try:
            yield _follow(self._script(request))
        finally:
            self.open_requests.remove(request)
            if not self.open_requests:
                self._idle.set()

    async def idle(self) -> None:
        """Return when no reply is open."""
        await self._idle.wait()


async def _follow(steps: Iterable[Step]) -> EventStream:
    for step in steps:
        if isinstance(step, GatewayError):
            raise step
        if callable(step):
            await step()
            continue
        yield step
        if isinstance(step[-1], Done):
            return
    await asyncio.Event().wait()
