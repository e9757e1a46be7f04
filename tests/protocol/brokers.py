"""Brokers for the vectors: one for each, since amqtt stumbles over clients that come at the same moment.

amqtt runs as a program of its own, python -m tests.protocol.brokers COUNT: it leaves sockets behind.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from gateway.contract.record import replace
from tests.live.brokers import running_mosquitto
from tests.live.programs import running_program
from transports.mqtt.embedded_broker import embedded_broker
from transports.mqtt.link.link import BrokerAddress

VERSIONS = {"mosquitto-5": "5", "mosquitto-3.1.1": "3.1.1", "amqtt-3.1.1": "3.1.1"}
"""The kinds of broker, and what is spoken with each."""


class Brokers:
    """at_once: so many are handed out at the same time."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._amqtt: asyncio.Queue[BrokerAddress] = asyncio.Queue()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Brokers"]:
        command = (sys.executable, "-m", "tests.protocol.brokers", str(self._at_once))
        async with running_program(*command) as program:
            ports = await program.until_said(r"ports( \d+)+\n")
            for port in ports[0].split()[1:]:
                self._amqtt.put_nowait(BrokerAddress("127.0.0.1", int(port), protocol="3.1.1"))
            yield self

    @asynccontextmanager
    async def of(self, kind: str) -> AsyncIterator[BrokerAddress]:
        """One of VERSIONS, for oneself."""
        if kind == "amqtt-3.1.1":
            address = await self._amqtt.get()
            try:
                yield address
            finally:
                self._amqtt.put_nowait(address)
        else:
            async with running_mosquitto() as broker:
                yield replace(broker.address, protocol="5" if kind == "mosquitto-5" else "3.1.1")


async def _serve(count: int) -> None:
    async with AsyncExitStack() as stack:
        brokers = [await stack.enter_async_context(embedded_broker(force="amqtt")) for _ in range(count)]
        sys.stdout.write(f"ports {' '.join(str(broker.address.port) for broker in brokers)}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
