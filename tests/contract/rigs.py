"""Every transport with a real peer: the rigs of the transports' contract suite."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from uuid import uuid4

from gateway.contract.content import text_of
from gateway.contract.errors import GatewayError, Interrupted, TransportError, Unreachable, UpstreamFailed
from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.transport import Transport
from transports.scripted import ScriptedTransport, Step


class TransportRig(Protocol):
    """One transport and the server or worker that answers it."""

    name: str

    def serving(self) -> AbstractAsyncContextManager[Transport]:
        """Start the peer and enter the transport's running()."""
        ...

    def request(self, text: str) -> ChatRequest:
        """Return a request whose reply is exactly `text`."""
        ...

    def endless(self) -> ChatRequest:
        """Return a request whose reply never ends by itself. A peer of whole replies never answers it."""
        ...

    async def lose_peer(self) -> None:
        """Kill the peer."""
        ...

    async def restore_peer(self) -> None:
        """Start the peer again and wait until it takes requests."""
        ...

    async def idle(self) -> None:
        """Wait until the peer serves no request; raises after 2 s."""
        ...

    async def break_off(self) -> None:
        """Wait until a server has received the open request completely, then kill that server."""
        ...


class ReattachingRig(TransportRig, Protocol):
    """A transport that continues replies which another gateway began.

    gone: the error for a reply that its peer does not have.
    """

    gone: type[GatewayError]

    def another(self) -> AbstractAsyncContextManager[Transport]:
        """Enter the running() of another transport to the same peer, as another gateway has it."""
        ...

    async def forgotten(self, conversation_id: str) -> None:
        """Wait until the peer has nothing of this reply, which was stopped."""
        ...


def chat_request(content: str) -> ChatRequest:
    return ChatRequest(id=uuid4().hex, turns=[Turn("user", content)], deadline_s=60)


ENDLESS = "go on for ever"


def echo(request: ChatRequest) -> Iterable[Step]:
    """Script: send the last turn back, a few characters at a time; without end if the request asks for it."""
    text = text_of(request.turns[-1].content)
    if text == ENDLESS:
        return [[Delta("on ")], [Delta("and on ")]]
    return [*([Delta(text[at : at + 3])] for at in range(0, len(text), 3)), [Done("stop")]]


def broke_off() -> TransportError:
    """Return the error of a server that breaks off after it received the request."""
    error = UpstreamFailed("the connection broke")
    error.broke_off = 1
    return error


class ScriptedRig:
    name = "scripted"
    gone: type[GatewayError] = Interrupted

    def __init__(self) -> None:
        self._there = True
        self._broken = asyncio.Event()
        self._kept: dict[str, ChatRequest] = {}
        self._transport = ScriptedTransport(self._script, kept=self._kept)

    def _script(self, request: ChatRequest) -> Iterable[Step]:
        if not self._there:
            return [Unreachable("the script was taken away")]
        if request.turns[-1].content == ENDLESS:
            return [*echo(request), self._broken.wait, broke_off()]
        return echo(request)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Transport]:
        async with self._transport.running():
            yield self._transport

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Transport]:
        yield self._transport

    def request(self, text: str) -> ChatRequest:
        return chat_request(text)

    def endless(self) -> ChatRequest:
        return chat_request(ENDLESS)

    async def lose_peer(self) -> None:
        self._there = False

    async def restore_peer(self) -> None:
        self._there = True

    async def idle(self) -> None:
        async with asyncio.timeout(30):
            await self._transport.idle()

    async def forgotten(self, conversation_id: str) -> None:
        self._kept.pop(conversation_id, None)

    async def break_off(self) -> None:
        self._broken.set()
