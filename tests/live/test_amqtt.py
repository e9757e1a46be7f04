"""The broker in Python, as `sluice demo` runs it without mosquitto."""

import asyncio

import pytest

from tests.protocol.brokers import Brokers
from tests.protocol.counterpart import client
from transports.mqtt.link.link import BrokerAddress

pytestmark = pytest.mark.live


async def test_it_answers_clients_that_come_while_others_subscribe_and_leave() -> None:
    async def come_and_go(address: BrokerAddress, name: str) -> None:
        for visit in range(15):
            async with client(address, f"{name}-{visit}") as mqtt:
                await mqtt.subscribe([(f"{name}/{visit}/+", 1), (f"{name}/{visit}", 1)])
                await mqtt.publish(f"{name}/{visit}/kept", b"x", qos=1, retain=True)

    async with (
        Brokers(1).running() as brokers,
        brokers.of("amqtt-3.1.1") as address,
        asyncio.timeout(120),
        asyncio.TaskGroup() as tasks,
    ):
        for name in "abcdef":
            tasks.create_task(come_and_go(address, name))
