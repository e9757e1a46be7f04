"""The simulated device and the simulated worker."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from secrets import token_hex
from typing import Any

import msgspec

from gateway.contract.content import text_of
from gateway.contract.errors import Conflict, UpstreamFailed
from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from gateway.contract.simulators import HearFrame, SimulatedPart
from transports.mqtt.link.link import Link, Receipt, Will
from transports.mqtt.protocol.device_frames import Chat
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import Status
from transports.mqtt.protocol.topics import device_status_topic, down_topic, up_topic, worker_status_topic
from transports.mqtt.simulators.heard_link import HeardLink
from transports.mqtt.simulators.one_connection import OneConnection
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step

WORD_S = 0.12
GOODBYE_S = 1.0
MAX_REPEATED_CHARS = 200
LAST_FRAMES = frozenset({"end", "reply", "error"})
PROSE = (
    "This is the simulated worker. Your question came to my inbox as one request frame on MQTT; each chunk "
    "frame that I publish has a few of these words, and the gateway joins them to the text that you read."
)


class _AnyFrame(msgspec.Struct):
    """id: a room's frames have numbers, and an error may have None."""

    type: str = ""
    id: Any = None


class MqttSimulators:
    """Implements gateway.contract.simulators.Simulators.

    Args:
        new_link: returns a link for a client id.
        gateway: name of the gateway; the parts' names begin with it, so that each gateway has one of each.
        root: of the topics.
        word_s: seconds between two words of the worker.
        own: the gateway's own connection, by which it is tried where a part may publish, before the part
            connects with the same credentials; None: it is not tried.
    """

    def __init__(
        self,
        new_link: Callable[[str], Link],
        *,
        gateway: str,
        root: str,
        word_s: float = WORD_S,
        own: Link | None = None,
    ) -> None:
        self._new_link = new_link
        self._own = own
        self._root = root
        self._word_s = word_s
        self._device = f"{gateway[:40]}-simulated-device"
        self._worker = f"{gateway[:40]}-simulated-worker"
        self._say: Callable[[str, bool | None], None] | None = None

    def device(self, text: str) -> SimulatedPart:
        return SimulatedPart(self._device, None, partial(self._play_device, self._device, text))

    def member(self, room_key: str) -> SimulatedPart:
        return SimulatedPart(self._device, None, partial(self._play_member, self._device, room_key))

    def say(self, text: str, ask: bool | None = None) -> None:
        if self._say is None:
            raise Conflict("No simulated device is played in a room at this gateway.")
        self._say(text, ask)

    def worker(self) -> SimulatedPart:
        return SimulatedPart(self._worker, self._worker, partial(self._play_worker, self._worker))

    async def _play_device(self, name: str, text: str, hear: HearFrame) -> None:
        link = HeardLink(self._new_link(name), hear)
        chat = Chat(id=token_hex(8), text=text)
        connection, answered = OneConnection(link), asyncio.Event()

        def hear_down(topic: str, payload: bytes, retained: bool) -> None:
            frame = msgspec.json.decode(payload, type=_AnyFrame)
            if frame.id == chat.id and frame.type in LAST_FRAMES:
                answered.set()

        link.subscribe(down_topic(self._root, name), hear_down)
        topic = up_topic(self._root, name)

        async def ask() -> UpstreamFailed | None:
            await connection.made()
            if await link.publish(topic, encode(chat)) is Receipt.REFUSED:
                return _forbidden(topic)
            await answered.wait()
            return None

        await self._try(topic)
        async with link.running():
            problem = await connection.during(ask())
        if problem is not None:  # raised within the block, it would be wrapped in an exception group
            raise problem

    async def _play_member(self, name: str, room_key: str, hear: HearFrame) -> None:
        link = HeardLink(self._new_link(name), hear)
        topic = device_status_topic(self._root, name)
        incarnation = time.time_ns() // 1_000_000
        ready = encode(Status("ready", incarnation=incarnation))
        lost = encode(Status("lost", incarnation=incarnation))

        def say(text: str, ask: bool | None) -> None:
            chat = Chat(id=token_hex(8), text=text, session=room_key, ask=ask)
            link.publish(up_topic(self._root, name), encode(chat))

        def greet(is_connected: bool) -> None:
            if is_connected:
                link.publish(topic, ready, retain=True)

        link.subscribe(down_topic(self._root, name), lambda topic, payload, retained: None)
        link.watch(greet)
        connection = OneConnection(link)
        await self._try(up_topic(self._root, name))
        async with link.running(Will(topic, lost)):
            self._say = say
            try:
                problem = await connection.during(_for_ever())
            finally:
                self._say = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        # A clean DISCONNECT makes the broker drop the will.
                        await link.publish(topic, lost, retain=True)
        if problem is not None:
            raise problem

    async def _play_worker(self, name: str, hear: HearFrame) -> None:
        link = HeardLink(self._new_link(name), hear)
        transport = ScriptedTransport(self._script)
        worker = Worker(transport, link, root=self._root, max_concurrent=2, models=[name], by_name=True)
        connection = OneConnection(link)
        await self._try(worker_status_topic(self._root, name))
        async with worker.running():
            problem = await connection.during(_for_ever())
        if problem is not None:
            raise problem

    async def _try(self, topic: str) -> None:
        """Publish an empty message, which is ignored. Raises UpstreamFailed if the broker refuses it."""
        if self._own is not None and await self._own.publish(topic, b"") is Receipt.REFUSED:
            raise _forbidden(topic)

    def _script(self, request: ChatRequest) -> Iterable[Step]:
        asked = text_of(request.turns[-1].content)[:MAX_REPEATED_CHARS]
        for word in f"“{asked}” {PROSE}".split(" "):
            yield [Delta(f"{word} ")]
            yield partial(asyncio.sleep, self._word_s)
        yield [Done("stop")]


def _forbidden(topic: str) -> UpstreamFailed:
    return UpstreamFailed(f"The broker does not let the gateway's MQTT user publish on {topic}.")


async def _for_ever() -> None:
    await asyncio.Event().wait()
