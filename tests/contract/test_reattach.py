"""Contract of transports: another gateway continues to receive a reply."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.contract.errors import Interrupted, TransportError
from gateway.contract.events import Delta, Done, TransportEvent
from gateway.contract.random_names import random_hex
from gateway.contract.reattach import Handle, Reattach, Reattachable
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Transport
from tests.contract.registry import REATTACHING_RIGS
from tests.contract.rigs import ReattachingRig

TEXT = "A reply that is long enough to be cut: 日本語 🙂 and so on."


@pytest.fixture(params=REATTACHING_RIGS, ids=lambda factory: factory.__name__)
def rig(request: pytest.FixtureRequest) -> ReattachingRig:
    factory: Callable[[], ReattachingRig] = request.param
    return factory()


class Owner:
    """A gateway that began or continues a reply, and what it stores."""

    def __init__(self) -> None:
        self.conversation_id = random_hex()
        self.handle: dict[str, Any] = {"conversation_id": self.conversation_id}
        self.left = False
        self.events: list[TransportEvent] = []
        self.visible = asyncio.Event()

    def asks(self, request: ChatRequest) -> ChatRequest:
        return replace(request, reattachable=self.reattachable)

    @property
    def reattachable(self) -> Reattachable:
        def keep(handle: Any) -> None:
            self.handle = dict(handle)

        return Reattachable(self.conversation_id, keep_handle=keep, is_left=lambda: self.left)

    def wants(self, handle: Handle | None = None) -> Reattach:
        return Reattach(random_hex(), self.handle if handle is None else handle, 1, 30.0, self.reattachable)

    def hear(self, events: Sequence[TransportEvent]) -> Awaitable[None] | None:
        self.events += events
        if self.text:
            self.visible.set()
        return None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    def whole(self, done: Done) -> str:
        return self.text + "".join(event.text for event in done.whole or () if isinstance(event, Delta))


@asynccontextmanager
async def receiving(work: Callable[[], Awaitable[Done]]) -> AsyncIterator[asyncio.Future[Done]]:
    """Leaving the block cancels the work."""
    running = asyncio.ensure_future(work())
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.wait([running])


async def left_behind(transport: Transport, owner: Owner, request: ChatRequest) -> None:
    """Begin a reply, and lose the gateway after its first text."""
    async with receiving(lambda: transport.answer(owner.asks(request), owner.hear)):
        await owner.visible.wait()
        owner.left = True


async def test_a_running_reply_is_pushed_again_and_goes_on(rig: ReattachingRig) -> None:
    owner, heir = Owner(), Owner()
    async with asyncio.timeout(120), rig.serving() as transport:
        await left_behind(transport, owner, rig.endless())
        async with rig.another() as other:
            wanted = owner.wants()
            async with receiving(lambda: other.abilities.reattach(wanted, heir.hear)):
                while len(heir.text) < len(owner.text):
                    heir.visible.clear()
                    await heir.visible.wait()
    assert heir.text.startswith(owner.text)


async def test_a_complete_reply_is_pushed_whole(rig: ReattachingRig) -> None:
    owner, heir = Owner(), Owner()
    async with asyncio.timeout(120), rig.serving() as transport:
        first = await transport.answer(owner.asks(rig.request(TEXT)), owner.hear)
        async with rig.another() as other:
            done = await other.abilities.reattach(owner.wants(), heir.hear)
    assert heir.whole(done) == owner.whole(first) == TEXT
    assert (done.reason, done.model) == (first.reason, first.model)


async def test_a_cancelled_reply_is_stopped(rig: ReattachingRig) -> None:
    owner, heir = Owner(), Owner()
    async with asyncio.timeout(120), rig.serving() as transport:
        await left_behind(transport, owner, rig.endless())
        async with rig.another() as other:
            heir.conversation_id = owner.conversation_id
            wanted = heir.wants(handle=owner.handle)
            async with receiving(lambda: other.abilities.reattach(wanted, heir.hear)):
                await heir.visible.wait()
            await rig.idle()


async def test_a_reply_that_was_stopped_is_gone(rig: ReattachingRig) -> None:
    owner, heir = Owner(), Owner()
    async with asyncio.timeout(120), rig.serving() as transport, rig.another() as other:
        async with receiving(lambda: transport.answer(owner.asks(rig.endless()), owner.hear)):
            await owner.visible.wait()
        await rig.idle()
        await rig.forgotten(owner.conversation_id)
        with pytest.raises(rig.gone):
            await other.abilities.reattach(owner.wants(), heir.hear)
    assert heir.events == []


@pytest.mark.parametrize(
    "handle",
    [
        {},
        {"conversation_id": "0" * 32},
        {"conversation_id": "x&from=7"},
        {"conversation_id": 5, "offset": "x"},
        {"worker": "w", "incarnation": 1},
    ],
)
async def test_a_handle_that_names_nothing_is_interrupted(
    rig: ReattachingRig, handle: dict[str, object]
) -> None:
    heir = Owner()
    async with asyncio.timeout(120), rig.serving() as transport:
        with pytest.raises((Interrupted, rig.gone)):
            await transport.abilities.reattach(heir.wants(handle=handle), heir.hear)
    assert heir.events == []


async def test_a_lost_peer_may_still_have_the_reply(rig: ReattachingRig) -> None:
    owner, heir = Owner(), Owner()
    async with asyncio.timeout(120), rig.serving() as transport:
        await left_behind(transport, owner, rig.endless())
        await rig.lose_peer()
        with pytest.raises(TransportError):
            await transport.abilities.reattach(owner.wants(), heir.hear)
