"""The Link against a broker that follows a script, and what it needs of aiomqtt and paho."""

import asyncio
import socket
from asyncio import Future, StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from gateway.contract.held_news import HeldNews
from tests.transports.mqtt import packets
from transports.mqtt.link.aiomqtt_connection import Connection
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.batched_socket import Wire
from transports.mqtt.link.broker_limits import BrokerLimits
from transports.mqtt.link.link import BrokerAddress, Receipt
from transports.mqtt.link.packets import PacketSplitter

Protocol = Literal["5", "3.1.1"]
both_versions = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


class Session:
    """One connection as the broker sees it: connected, and its one subscription granted."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, protocol: Protocol) -> None:
        self.writer = writer
        self.properties = b"" if protocol == "5" else None
        self._reader = reader
        self._splitter = PacketSplitter()
        self._packets: list[bytes] = []

    async def begin(self, connack: bytes) -> None:
        await self.next()
        self.writer.write(connack)
        subscribe = await self.next()
        assert subscribe[0] & 0xF0 == packets.SUBSCRIBE
        grant = b"\x01" if self.properties is None else b"\x00\x01"
        self.writer.write(packets.packet(0x90, subscribe[2:4] + grant))

    async def next(self) -> bytes:
        while not self._packets:
            data = await self._reader.read(65_536)
            if not data:
                raise EOFError
            self._packets += self._splitter.feed(data)
        return self._packets.pop(0)

    def publish(
        self, payload: bytes, *, topic: str | bytes = "here", qos: int = 1, packet_id: int = 1
    ) -> None:
        properties = self.properties
        self.writer.write(
            packets.publish(topic, payload, qos=qos, packet_id=packet_id, properties=properties)
        )


Script = Callable[[Session], Awaitable[None]]


class Client:
    """A link that hears "here", and everything it was told, in order."""

    def __init__(self, address: BrokerAddress) -> None:
        self.held = HeldNews()
        self.link = AiomqttLink(address, client_id="one", held=self.held)
        self.told: list[object] = []
        self.was_held: list[bool] = []
        self._news = asyncio.Event()
        self.link.subscribe("here", lambda _topic, payload, _retained: self._tell(payload))
        self.link.watch(self._tell)

    def _tell(self, what: object) -> None:
        self.told.append(what)
        self.was_held.append(self.held.waiting is not None)
        self._news.set()

    async def is_told(self, *expected: object) -> None:
        while len(self.told) < len(expected):
            self._news.clear()
            await self._news.wait()
        assert self.told == list(expected)


@asynccontextmanager
async def scripted_broker(
    protocol: Protocol, *scripts: Script, connack: bytes | None = None
) -> AsyncIterator[Client]:
    """Each connection takes the next script; leaving the block waits for all of them."""
    waiting = list(scripts)
    over: list[Future[None]] = []
    welcome = connack or (packets.CONNACK_5 if protocol == "5" else packets.CONNACK_3_1_1)

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        over.append(task)
        try:
            session = Session(reader, writer, protocol)
            await session.begin(welcome)
            await waiting.pop(0)(session)
        finally:
            writer.close()

    async with asyncio.timeout(30), await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = Client(BrokerAddress("127.0.0.1", port, protocol=protocol))
        async with client.link.running():
            yield client
        await asyncio.gather(*over)


async def until_the_end(session: Session) -> None:
    assert (await session.next())[0] == packets.DISCONNECT


@both_versions
async def test_messages_arrive_however_the_network_cuts_them(protocol: Protocol) -> None:
    async def dribble(session: Session) -> None:
        sent = b"".join(
            packets.publish("here", b"%d" % qos, qos=qos, packet_id=qos + 1, properties=session.properties)
            for qos in (0, 1, 2)
        )
        for byte in sent:
            session.writer.write(bytes([byte]))
            await session.writer.drain()
        assert {(await session.next())[:4], (await session.next())[:4]} == {
            packets.puback(2),
            packets.packet(packets.PUBREC, b"\x00\x03"),
        }
        session.writer.write(packets.packet(packets.PUBREL | 2, b"\x00\x03"))
        assert (await session.next())[:4] == packets.packet(packets.PUBCOMP, b"\x00\x03")
        await until_the_end(session)

    async with scripted_broker(protocol, dribble) as client:
        await client.is_told(True, b"0", b"1", b"2")


@both_versions
async def test_a_topic_that_is_not_utf_8_is_acknowledged_and_nobodys(protocol: Protocol) -> None:
    async def script(session: Session) -> None:
        session.publish(b"no", topic=b"\xffhere", packet_id=7)
        session.publish(b"yes", packet_id=8)
        assert [await session.next(), await session.next()] == [packets.puback(7), packets.puback(8)]
        await until_the_end(session)

    async with scripted_broker(protocol, script) as client:
        await client.is_told(True, b"yes")


@pytest.mark.parametrize(
    "nonsense",
    [b"\x30\xff\xff\xff\xff\xff", b"\x32\x03\x00\x09t", b"\x36\x02\x00\x00", b"\x90\x00", b"\xf1\x00"],
)
@both_versions
async def test_nonsense_costs_the_connection_and_a_new_one_is_made(
    protocol: Protocol, nonsense: bytes
) -> None:
    async def talk_nonsense(session: Session) -> None:
        session.publish(b"before", packet_id=7)
        assert await session.next() == packets.puback(7)
        session.writer.write(nonsense)
        with pytest.raises(EOFError):
            await session.next()

    async with scripted_broker(protocol, talk_nonsense, until_the_end) as client:
        await client.is_told(True, b"before", False, True)


async def test_a_broker_that_hangs_up_is_found_again() -> None:
    async def hang_up(session: Session) -> None:
        pass

    async with scripted_broker("5", hang_up, until_the_end) as client:
        await client.is_told(True, False, True)


@pytest.mark.parametrize(
    ("reason", "receipt"),
    [
        (None, Receipt.TAKEN),
        (0x00, Receipt.TAKEN),
        (0x10, Receipt.NOBODY),
        (0x87, Receipt.REFUSED),
        (0x97, Receipt.REFUSED),
    ],
)
async def test_a_receipt_says_what_the_broker_said(reason: int | None, receipt: Receipt) -> None:
    async def answer(session: Session) -> None:
        publish = await session.next()
        packet_id = int.from_bytes(publish[7:9], "big")
        session.writer.write(packets.puback(packet_id + 1) + packets.puback(packet_id, reason))
        await until_the_end(session)

    async with scripted_broker("5", answer) as client:
        await client.is_told(True)
        assert await client.link.publish("abc", b"x") is receipt


async def test_a_broker_gets_no_more_messages_than_it_takes_at_once() -> None:
    at_once: list[int] = []

    async def take_two(session: Session) -> None:
        for _ in range(10):
            held = [await session.next(), await session.next()]
            at_once.append(len(held) + len(session._packets))
            for publish in held:
                session.writer.write(packets.puback(int.from_bytes(publish[7:9], "big")))
        await until_the_end(session)

    receive_maximum_2 = b"\x20\x06\x00\x00\x03\x21\x00\x02"
    async with scripted_broker("5", take_two, connack=receive_maximum_2) as client:
        await client.is_told(True)
        receipts = [client.link.publish("abc", b"x") for _ in range(20)]
        assert {await receipt for receipt in receipts} == {Receipt.TAKEN}
    assert at_once == [2] * 10


async def test_messages_are_heard_while_news_are_held() -> None:
    async def send_one(session: Session) -> None:
        session.publish(b"x")
        assert await session.next() == packets.puback(1)
        await until_the_end(session)

    async with scripted_broker("5", send_one) as client:
        await client.is_told(True, b"x")
        assert client.was_held[-1]


def unconnected() -> Connection:
    return Connection(
        BrokerAddress("nowhere.invalid"),
        "one",
        tls=None,
        mqtt_5=True,
        will=None,
        retains=True,
        limits=BrokerLimits(1_000, lambda: 0.0),
        on_message=lambda *_: None,
        on_up=lambda _: None,
        held=HeldNews(),
    )


async def test_a_connection_made_after_it_was_given_up_is_closed() -> None:
    connection = unconnected()
    connection.abandon()
    ours, theirs = socket.socketpair()
    with theirs:
        assert connection.opened(ours) is None
        assert theirs.recv(1) == b""


async def test_a_link_that_ends_as_it_comes_up_ends_at_once() -> None:
    async with scripted_broker("5", until_the_end) as client:
        await client.is_told(True)


async def test_paho_reads_and_writes_through_our_wire() -> None:
    async with scripted_broker("5", until_the_end) as client:
        await client.is_told(True)
        connection = client.link._connection
        assert isinstance(connection, Connection)
        assert isinstance(connection.paho.socket(), Wire), "aiomqtt or paho no longer call our hooks"
