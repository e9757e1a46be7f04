"""Which MQTT version the Link speaks, with real brokers."""

import asyncio
from asyncio import StreamReader, StreamWriter

import pytest

from gateway.contract.record import replace
from tests.live.brokers import free_port, requires_mosquitto, running_mosquitto
from tests.live.cutting_proxy import CuttingProxy
from tests.live.test_mqtt_link import Ear, connected
from transports.mqtt.embedded_broker import embedded_broker
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress, Envelope, Receipt
from transports.mqtt.link.mqtt_version import BrokerSilent, speaks_mqtt_5

pytestmark = [pytest.mark.live, requires_mosquitto()]


async def test_the_broker_is_asked_which_version_it_speaks() -> None:
    async with running_mosquitto() as broker, embedded_broker(force="amqtt") as old:
        assert await speaks_mqtt_5(broker.address)
        assert not await speaks_mqtt_5(old.address)
    with pytest.raises(OSError, match="Connect"):
        await speaks_mqtt_5(BrokerAddress("127.0.0.1", free_port()))


async def test_a_broker_that_hangs_up_on_version_5_is_an_old_one() -> None:
    async def hang_up(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server, asyncio.timeout(120):
        port = server.sockets[0].getsockname()[1]
        assert not await speaks_mqtt_5(BrokerAddress("127.0.0.1", port))


async def test_a_3_1_1_broker_is_spoken_to_in_3_1_1() -> None:
    async with embedded_broker(force="amqtt") as broker:
        link = AiomqttLink(replace(broker.address, protocol="auto"), client_id="one")
        ear = Ear(link, "here")
        async with connected(link), asyncio.timeout(120):
            assert await link.publish("here", b"x", envelope=Envelope(5)) is Receipt.TAKEN
            assert await ear.hears(1) == [b"x"]


async def test_a_broker_that_is_silent_to_version_5_alone_is_an_old_one() -> None:
    async def answer_3_1_1(reader: StreamReader, writer: StreamWriter) -> None:
        connect = await reader.readexactly(9)
        if connect[8] == 4:
            writer.write(b"\x20\x02\x00\x00")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer_3_1_1, "127.0.0.1", 0) as server, asyncio.timeout(120):
        port = server.sockets[0].getsockname()[1]
        assert not await speaks_mqtt_5(BrokerAddress("127.0.0.1", port))


async def test_a_frozen_broker_speaks_no_version() -> None:
    async with running_mosquitto() as broker, asyncio.timeout(120):
        broker.freeze()
        with pytest.raises(BrokerSilent):
            await speaks_mqtt_5(broker.address)


async def test_a_broker_that_hung_while_it_was_asked_is_spoken_to_in_version_5() -> None:
    async with running_mosquitto() as broker, asyncio.timeout(120):
        proxy = CuttingProxy(broker.address.host, broker.address.port, [])
        connections = 0

        def accept(reader: StreamReader, writer: StreamWriter) -> None:
            nonlocal connections
            connections += 1
            if connections == 2:
                broker.thaw()
            proxy.accept(reader, writer)

        broker.freeze()
        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            link = AiomqttLink(
                BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1]), client_id="one"
            )
            async with connected(link):
                assert await link.publish("nobody", b"x") is Receipt.NOBODY, "only MQTT 5 says that"
        await proxy.close()
