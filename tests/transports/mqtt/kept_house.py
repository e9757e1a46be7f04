"""One worker and several gateways on a broker in memory, for replies that outlive their gateway."""

import asyncio
from asyncio import Task
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from gateway.contract.errors import GatewayError
from gateway.contract.events import Delta, Done, TransportEvent
from gateway.contract.reattach import Handle, Reattach, Reattachable
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.transport import Hear, Transport
from tests.transports.mqtt.memory_link import MemoryBroker
from transports.mqtt.protocol.frame_codec import decode_reply
from transports.mqtt.protocol.frames import ErrorFrame
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step

ROOT = "r"
INBOX = "r/workers/w/inbox"


class Reply:
    """One reply as a gateway receives it. handles: those that were stored."""

    def __init__(self) -> None:
        self.conversation_id = uuid4().hex
        self.text = ""
        self.done: Done | None = None
        self.error: GatewayError | None = None
        self.handles: list[Handle] = []
        self.left = False
        self._news = asyncio.Event()
        self._task: Task[None]

    @property
    def reattachable(self) -> Reattachable:
        return Reattachable(
            self.conversation_id, self.handles.append, is_left=lambda: self.left, keep_s=self.keep_s
        )

    keep_s = 60.0

    def start(self, receive: Callable[[Hear], Awaitable[Done]]) -> "Reply":
        self._task = asyncio.ensure_future(self._receive(receive))
        return self

    async def _receive(self, receive: Callable[[Hear], Awaitable[Done]]) -> None:
        def hear(events: Sequence[TransportEvent]) -> None:
            self.text += "".join(event.text for event in events if isinstance(event, Delta))
            self._news.set()

        try:
            done = await receive(hear)
            hear(done.whole or ())
            self.done = done
        except GatewayError as error:
            self.error = error
        finally:
            self._news.set()

    async def until(self, text: str) -> None:
        """Wait until this text was received."""
        async with asyncio.timeout(30):
            while self.text != text:
                assert text.startswith(self.text), self.text
                assert self.error is None, repr(self.error)
                self._news.clear()
                await self._news.wait()

    async def end(self) -> "Reply":
        async with asyncio.timeout(30):
            await asyncio.wait([self._task])
        return self

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


class Gateway:
    """One start of a gateway."""

    def __init__(self, broker: MemoryBroker, name: str, incarnation: int) -> None:
        self.link = broker.link(name)
        self.transport = MqttTransport(self.link, root=ROOT, incarnation=incarnation)
        self.replies: list[Reply] = []

    def ask(self, text: str = "hi", *, keep_s: float = 60.0) -> Reply:
        reply = Reply()
        reply.keep_s = keep_s
        request = ChatRequest(
            uuid4().hex, [Turn("user", text)], deadline_s=60, reattachable=reply.reattachable
        )
        return self._started(reply, lambda hear: self.transport.answer(request, hear))

    def reattach(self, handle: Handle, epoch: int = 1) -> Reply:
        reply = Reply()
        asked = Reattach("f" * 32, handle, epoch, 60.0, reply.reattachable)
        return self._started(reply, lambda hear: self.transport.abilities.reattach(asked, hear))

    def _started(self, reply: Reply, receive: Callable[[Hear], Awaitable[Done]]) -> Reply:
        self.replies.append(reply)
        return reply.start(receive)

    async def kill(self) -> None:
        """As kill -9 does: nothing more is sent, the broker publishes the will."""
        self.link.lose_connection()
        for reply in self.replies:
            await reply.stop()


class House:
    """script: of the model. `go_on` lets it continue where it waits. served: by the worker instead."""

    def __init__(
        self,
        script: Callable[["House"], Iterable[Step]],
        served: Transport | None = None,
        **worker: float,
    ) -> None:
        self.broker = MemoryBroker()
        self.may_go_on = asyncio.Semaphore(0)
        self.model = ScriptedTransport(lambda _: script(self))
        self.worker_link = self.broker.link("w")
        self.worker = Worker(
            served or self.model,
            self.worker_link,
            root=ROOT,
            incarnation=3,
            coalesce_s=0,
            max_concurrent=3,
            **worker,  # type: ignore[arg-type]
        )

    def go_on(self) -> None:
        self.may_go_on.release()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["House"]:
        async with asyncio.timeout(60), self.worker.running():
            yield self

    @asynccontextmanager
    async def gateway(
        self, incarnation: int = 7, name: str = "gw", *, worker_drains: bool = False
    ) -> AsyncIterator[Gateway]:
        gateway = Gateway(self.broker, name, incarnation)
        async with gateway.transport.running():
            if not worker_drains:
                await gateway.transport.until_ready()
            try:
                yield gateway
            finally:
                for reply in gateway.replies:
                    await reply.stop()

    def errors_to(self, gateway: str) -> list[ErrorFrame]:
        """The errors that the worker sent to this gateway."""
        topic = f"r/gateways/{gateway}/replies/w"
        frames = [decode_reply(payload) for heard, payload in self.worker_link.sent if heard == topic]
        return [frame for frame in frames if isinstance(frame, ErrorFrame)]


def in_two_halves(house: House) -> Iterable[Step]:
    """Say "ab", wait, say "cd"."""
    return [[Delta("a")], [Delta("b")], house.may_go_on.acquire, [Delta("c")], [Delta("d")], [Done("stop")]]
