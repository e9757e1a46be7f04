"""`sluice worker` as a process, and a hand in a gateway's place that asks it over a real broker."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from gateway.contract.requests import Sampling
from tests.live.brokers import Mosquitto
from tests.live.llama_server import LlamaServer, running_llama
from tests.live.nursery import forked_sluice
from tests.live.programs import Program
from transports.llama.embedded_server import tiny_model_path
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.protocol.frame_codec import decode_reply, decode_status, encode
from transports.mqtt.protocol.frames import MessageField, ReplyFrame, RequestFrame, Status

ROOT = "sluice/v1"


@asynccontextmanager
async def worker(broker: Mosquitto, *urls: str, options: tuple[str, ...] = ()) -> AsyncIterator[Program]:
    servers = [argument for url in urls for argument in ("--llm-url", url)]
    address = f"127.0.0.1:{broker.address.port}"
    async with forked_sluice("worker", "--name", "w", "--broker", address, *servers, *options) as program:
        await program.until_said("worker w serves")
        yield program


class Gateway:
    """A hand in a gateway's place, which asks the worker and hears what it says."""

    def __init__(self, broker: Mosquitto) -> None:
        self.link = AiomqttLink(broker.address, client_id="gw")
        self.statuses: asyncio.Queue[Status] = asyncio.Queue()
        self.frames: asyncio.Queue[ReplyFrame] = asyncio.Queue()
        self.link.subscribe(f"{ROOT}/workers/w/status", self._hear_status)
        self.link.subscribe(f"{ROOT}/gateways/gw/replies/+", self._hear_frame)

    def _hear_status(self, topic: str, payload: bytes, retained: bool) -> None:
        self.statuses.put_nowait(decode_status(payload))

    def _hear_frame(self, topic: str, payload: bytes, retained: bool) -> None:
        self.frames.put_nowait(decode_reply(payload))

    async def ask(self, **more: Any) -> str:
        asked = Sampling(max_tokens=4_000, options={"ignore_eos": True})
        request = RequestFrame(
            uuid4().hex, f"{ROOT}/gateways/gw/replies/w", [MessageField("user", "hi")], params=asked, **more
        )
        await self.link.publish(f"{ROOT}/workers/w/inbox", encode(request))
        return request.id

    async def status(self, **wanted: object) -> Status:
        """The next status that is like this."""
        while True:
            status = await self.statuses.get()
            if all(getattr(status, name) == value for name, value in wanted.items()):
                return status

    async def frame(self, request_id: str, *kinds: type[ReplyFrame]) -> ReplyFrame:
        """The next frame of one of these kinds."""
        while True:
            frame = await self.frames.get()
            if frame.id == request_id and isinstance(frame, kinds):
                return frame


@asynccontextmanager
async def gateway(broker: Mosquitto) -> AsyncIterator[Gateway]:
    hand = Gateway(broker)
    async with hand.link.running():
        yield hand


async def hang_up_on(attempts: int, broker: Mosquitto) -> None:
    """Take the broker's place until so many have tried to connect.

    Without asyncio's server, which does not close a connection that it accepts while it is being closed.
    """
    loop = asyncio.get_running_loop()
    with socket.create_server((broker.address.host, broker.address.port)) as listener:
        listener.setblocking(False)
        for _ in range(attempts):
            connection, _peer = await loop.sock_accept(listener)
            connection.close()


@asynccontextmanager
async def two_servers() -> AsyncIterator[tuple[LlamaServer, LlamaServer]]:
    async with (
        running_llama(tiny_model_path(), "--alias", "first", "--parallel", "2") as first,
        running_llama(tiny_model_path(), "--alias", "second", "--parallel", "3") as second,
    ):
        yield first, second
