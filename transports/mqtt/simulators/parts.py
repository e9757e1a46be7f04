"""The simulated device and the simulated worker."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from secrets import token_hex

import msgspec

from gateway.contract.content import text_of
from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from gateway.contract.simulators import HearFrame, SimulatedPart
from transports.mqtt.link.link import Link, Receipt
from transports.mqtt.protocol.device_frames import Chat
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.topics import down_topic, up_topic
from transports.mqtt.simulators.heard_link import HeardLink
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step

WORD_S = 0.12
MAX_REPEATED_CHARS = 200
LAST_FRAMES = frozenset({"end", "reply", "error"})
PROSE = (
    "This is the simulated worker. Your question came to my inbox as one request frame on MQTT; each chunk "
    "frame that I publish has a few of these words, and the gateway joins them to the text that you read."
)


class _AnyFrame(msgspec.Struct):
    type: str = ""
    id: str = ""


class MqttSimulators:
    """Implements gateway.contract.simulators.Simulators.

    Args:
        new_link: returns a link for a client id.
        gateway: name of the gateway; the parts' names begin with it, so that each gateway has one of each.
        root: of the topics.
        word_s: seconds between two words of the worker.
    """

    def __init__(
        self, new_link: Callable[[str], Link], *, gateway: str, root: str, word_s: float = WORD_S
    ) -> None:
        self._new_link = new_link
        self._root = root
        self._word_s = word_s
        self._prefix = gateway[:40]

    def device(self, text: str) -> SimulatedPart:
        name = f"{self._prefix}-simulated-device"
        return SimulatedPart(name, None, partial(self._play_device, name, text))

    def worker(self) -> SimulatedPart:
        name = f"{self._prefix}-simulated-worker"
        return SimulatedPart(name, name, partial(self._play_worker, name))

    async def _play_device(self, name: str, text: str, hear: HearFrame) -> None:
        link = HeardLink(self._new_link(name), hear)
        chat = Chat(id=token_hex(8), text=text)
        connected, answered = asyncio.Event(), asyncio.Event()

        def hear_down(topic: str, payload: bytes, retained: bool) -> None:
            frame = msgspec.json.decode(payload, type=_AnyFrame)
            if frame.id == chat.id and frame.type in LAST_FRAMES:
                answered.set()

        link.subscribe(down_topic(self._root, name), hear_down)
        link.watch(lambda is_connected: connected.set() if is_connected else None)
        async with link.running():
            await connected.wait()
            topic = up_topic(self._root, name)
            if await link.publish(topic, encode(chat)) is Receipt.REFUSED:
                raise UpstreamFailed(f"The broker does not let the gateway's MQTT user publish on {topic}.")
            await answered.wait()

    async def _play_worker(self, name: str, hear: HearFrame) -> None:
        link = HeardLink(self._new_link(name), hear)
        transport = ScriptedTransport(self._script)
        worker = Worker(transport, link, root=self._root, max_concurrent=2, models=[name], by_name=True)
        async with worker.running():
            await asyncio.Event().wait()

    def _script(self, request: ChatRequest) -> Iterable[Step]:
        asked = text_of(request.turns[-1].content)[:MAX_REPEATED_CHARS]
        for word in f"“{asked}” {PROSE}".split(" "):
            yield [Delta(f"{word} ")]
            yield partial(asyncio.sleep, self._word_s)
        yield [Done("stop")]
