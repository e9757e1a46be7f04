"""The socket between the loop and the MQTT library, with a socket of ours as the broker."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.contract.errors import ProtocolViolation
from gateway.contract.held_news import HeldNews
from tests.transports.mqtt import packets
from transports.mqtt.link.batched_socket import Wire
from transports.mqtt.link.packets import LONGEST_PACKET, PacketSplitter

SUBACK = packets.packet(0x90, b"\x00\x01\x01")


class Library:
    """Keeps what it is given to read, and writes like paho: as long as the wire takes it."""

    def __init__(self) -> None:
        self.wire: Wire
        self.said: list[object] = []
        self.news = asyncio.Event()
        self.outgoing: deque[bytes] = deque()
        self.fails: type[Exception] | None = None
        self.closes = False

    def loop_read(self) -> None:
        data = b""
        try:
            while True:
                data += self.wire.recv(1)
        except BlockingIOError:
            self.say(data)
        if self.fails is not None:
            raise self.fails
        if self.closes:
            self.wire.close()

    def loop_write(self) -> None:
        while self.outgoing:
            packet = self.outgoing.popleft()
            try:
                sent = self.wire.send(packet)
            except BlockingIOError:
                self.outgoing.appendleft(packet)
                return
            assert sent == len(packet)
            if packet[0] == packets.DISCONNECT:
                self.wire.close()

    def want_write(self) -> bool:
        return bool(self.outgoing)

    def say(self, what: object) -> None:
        self.said.append(what)
        self.news.set()

    def hear(self, topic: str, payload: bytes, retained: bool) -> None:
        self.say((topic, payload))

    def lose(self, why: Exception) -> None:
        self.say(type(why))
        self.wire.close()

    async def says(self, count: int) -> list[object]:
        async with asyncio.timeout(30):
            while len(self.said) < count:
                self.news.clear()
                await self.news.wait()
        return self.said


class Broker:
    """The other end. Each read of it is one send of ours, since the socket keeps their boundaries."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()

    async def write(self, data: bytes) -> None:
        async with asyncio.timeout(30):
            await self._loop.sock_sendall(self.sock, data)

    async def read(self) -> bytes:
        async with asyncio.timeout(30):
            return await self._loop.sock_recv(self.sock, 1_000_000)


@asynccontextmanager
async def wired(
    library: Library, kind: socket.SocketKind, *, mqtt_5: bool = False, max_payload: int = LONGEST_PACKET
) -> AsyncIterator[Broker]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.setblocking(False)
    theirs.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    library.wire = Wire(
        ours,
        asyncio.get_running_loop(),
        library,
        mqtt_5=mqtt_5,
        max_payload=max_payload,
        on_message=library.hear,
        on_taken=library.say,
        on_lost=library.lose,
        held=HeldNews(),
    )
    library.wire.start()
    with theirs:
        yield Broker(theirs)
        if library.wire.fileno() >= 0:
            library.wire.close()


@pytest.fixture
async def library() -> Library:
    return Library()


@pytest.fixture
async def broker(library: Library) -> AsyncIterator[Broker]:
    async with wired(library, socket.SOCK_SEQPACKET) as broker:
        yield broker


@pytest.mark.parametrize("count", [1, 3, 8, 50])
async def test_acknowledgements_of_one_read_leave_together_and_in_order(
    count: int, library: Library, broker: Broker
) -> None:
    await broker.write(b"".join(packets.publish("t", b"x", packet_id=number) for number in range(count)))
    assert await broker.read() == b"".join(packets.puback(number) for number in range(count))
    assert library.said == [("t", b"x")] * count


async def test_acknowledgements_of_several_reads_wait_for_each_other(
    library: Library, broker: Broker
) -> None:
    for number in range(8):
        broker.sock.send(packets.publish("t", b"x", packet_id=number))
    assert await broker.read() == b"".join(packets.puback(number) for number in range(8))


async def test_qos_0_is_not_acknowledged(library: Library, broker: Broker) -> None:
    await broker.write(packets.publish("t", b"0", qos=0) + packets.publish("t", b"1", packet_id=7))
    assert await broker.read() == packets.puback(7)
    assert library.said == [("t", b"0"), ("t", b"1")]


async def test_everything_is_heard_in_the_order_it_came(library: Library, broker: Broker) -> None:
    qos_2 = packets.publish("t", b"2", qos=2)
    refused = packets.puback(6, 0x87)
    message = packets.publish("t", b"x", qos=0)
    await broker.write(message + SUBACK + packets.puback(5) + message + refused + qos_2 + message)
    heard = ("t", b"x")
    assert await library.says(7) == [heard, SUBACK, 5, heard, refused, qos_2, heard]


async def test_all_packets_of_a_loop_turn_leave_in_one_send(library: Library, broker: Broker) -> None:
    for number in range(20):
        library.outgoing.append(packets.publish("t", b"x", packet_id=number))
        library.wire.write_soon()
    sent = b"".join(library.outgoing)
    assert await broker.read() == sent


async def test_a_full_socket_is_waited_for_and_no_packet_is_torn(library: Library) -> None:
    async with wired(library, socket.SOCK_STREAM) as broker:
        written = [packets.publish("t", b"x" * 5_000, packet_id=number) for number in range(100)]
        library.outgoing.extend(written)
        library.wire.write_soon()
        asked = [packets.publish("t", b"x", packet_id=number) for number in range(40)]
        await broker.write(b"".join(asked))
        await library.says(40)
        assert library.want_write(), "the wire takes no more than it may hold"
        library.outgoing.append(packets.packet(packets.DISCONNECT, b""))
        splitter, received = PacketSplitter(), []
        while data := await broker.read():
            received += splitter.feed(data)
        assert [packet for packet in received if packet in written] == written
        acknowledged = [packet for packet in received if packet[0] == packets.PUBACK]
        assert acknowledged == [packets.puback(number) for number in range(40)]
        assert received[-1] == packets.packet(packets.DISCONNECT, b"")
        assert len(received) == 141


async def test_a_packet_larger_than_all_acknowledgements_keeps_the_connection(library: Library) -> None:
    async with wired(library, socket.SOCK_STREAM) as broker:
        large = packets.publish("t", b"x" * 1_000_000)
        library.outgoing.append(large)
        library.wire.write_soon()
        await broker.write(packets.publish("t", b"x", packet_id=7) * 100)
        await library.says(100)
        received = b""
        while len(received) < len(large) + 400:
            received += await broker.read()
        assert received == large + packets.puback(7) * 100


async def test_what_follows_the_end_is_not_heard(library: Library, broker: Broker) -> None:
    library.closes = True
    await broker.write(SUBACK + packets.publish("t", b"x"))
    assert await broker.read() == b""
    assert library.said == [SUBACK]


async def test_a_broker_that_hangs_up_is_lost(library: Library, broker: Broker) -> None:
    broker.sock.close()
    assert await library.says(1) == [ConnectionResetError]


@pytest.mark.parametrize("garbage", [b"\x30\xff\xff\xff\xff\xff", b"\x32\x03\x00\x09t"])
async def test_a_broker_that_talks_nonsense_is_lost(garbage: bytes, library: Library, broker: Broker) -> None:
    await broker.write(garbage)
    assert await library.says(1) == [ProtocolViolation]


async def test_a_packet_that_the_library_cannot_read_is_logged_and_ends_the_connection(
    library: Library, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    library.fails = IndexError
    await broker.write(SUBACK)
    assert await library.says(2) == [SUBACK, IndexError]
    assert "cannot read" in caplog.text


async def test_a_broker_that_takes_no_acknowledgements_is_lost(library: Library) -> None:
    async with asyncio.timeout(30), wired(library, socket.SOCK_STREAM) as broker:
        flood = packets.publish("t", b"") * 1_000
        with suppress(ConnectionError):
            while library.wire.fileno() >= 0:
                await broker.write(flood)
        assert library.said[-1] is BrokenPipeError
        assert len(library.said) < 120_000


async def test_a_message_with_endless_properties_does_not_cost_the_connection() -> None:
    library = Library()
    async with wired(library, socket.SOCK_STREAM, mqtt_5=True, max_payload=1024) as broker:
        await broker.write(packets.publish("a", b"x", packet_id=1, properties=b"p" * 400_000))
        await broker.write(packets.publish("b", b"y", packet_id=2, properties=b""))
        assert await library.says(2) == [("a", b"\0"), ("b", b"y")]
