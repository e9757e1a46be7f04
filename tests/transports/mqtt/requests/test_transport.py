"""The gateway's side alone, before a link that fails it."""

import asyncio
from asyncio import Future

from gateway.contract.errors import Overloaded
from tests.transports.mqtt.memory_link import MemoryBroker, MemoryLink
from transports.mqtt.link.link import Envelope, Receipt
from transports.mqtt.requests.transport import MqttTransport


class FullLink(MemoryLink):
    """Takes nothing for a while."""

    full = True

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> Future[Receipt]:
        if self.full:
            self.full = False
            raise Overloaded("too many messages wait for the MQTT broker")
        return super().publish(topic, payload, retain=retain, envelope=envelope)


async def test_a_link_that_takes_no_more_does_not_end_the_gateway() -> None:
    broker = MemoryBroker()
    transport = MqttTransport(FullLink(broker, "gw", 1_000), root="r", heartbeat_s=0.01)
    announced = asyncio.Event()
    watcher = broker.link("watcher")
    watcher.subscribe("r/gateways/gw/status", lambda *_: announced.set())
    async with asyncio.timeout(30), watcher.running(), transport.running():
        await announced.wait()
