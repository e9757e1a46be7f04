"""Reads and pauses of BatchedSocket, on an event loop that the test steps by hand."""

import socket
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import cast

import pytest

from gateway.contract.held_news import HeldNews
from tests.transports.mqtt import packets
from transports.mqtt.link.batched_socket import ACKS_TOGETHER, PAUSE_S, Wire


class Loop:
    """Event loop that records the socket's reader and its scheduled calls."""

    def __init__(self) -> None:
        self.reader: Callable[[], None] | None = None
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self.reader = callback

    def remove_reader(self, fd: int) -> None:
        self.reader = None

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        raise AssertionError("there is room for everything that is written here")

    remove_writer = remove_reader

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.calls.append((0, callback))

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.calls.append((delay_s, callback))


class Library:
    """Client library without any behaviour."""

    def loop_read(self) -> None:
        raise AssertionError("everything here is quick")

    def loop_write(self) -> None:
        pass

    def want_write(self) -> bool:
        return False


class Reader:
    """Notes how many messages were heard and acknowledged each time it hears."""

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene
        self.seen: list[tuple[int, int]] = []

    def hear(self) -> None:
        self.seen.append((len(self._scene.heard), self._scene.acknowledged()))


class Scene:
    def __init__(self, wire_end: socket.socket, broker: socket.socket) -> None:
        self.loop = Loop()
        self.heard: list[bytes] = []
        self.held = HeldNews()
        self.readers: list[Reader] = []
        self.lost: list[Exception] = []
        self._broker = broker
        self.wire = Wire(
            wire_end,
            cast(AbstractEventLoop, self.loop),
            Library(),
            mqtt_5=False,
            on_message=self.hear,
            on_taken=lambda packet_id: None,
            on_lost=self.lost.append,
            held=self.held,
        )
        self.wire.start()

    def hear(self, topic: str, payload: bytes, retained: bool) -> None:
        self.heard.append(payload)
        for reader in self.readers:
            assert self.held.waiting is not None
            self.held.waiting[reader] = None

    def send(self, *payloads: bytes) -> None:
        for number, payload in enumerate(payloads):
            self.say(packets.publish("t", payload, packet_id=number))

    def say(self, packet: bytes) -> None:
        self._broker.send(packet)

    def wake_up(self) -> None:
        """Report the socket as readable."""
        assert self.loop.reader is not None, "nobody would be woken"
        self.loop.reader()

    def next_call(self) -> float:
        """Make the scheduled call and return the delay that it was scheduled with."""
        ((delay_s, callback),) = self.loop.calls
        self.loop.calls.clear()
        callback()
        return delay_s

    def acknowledged(self) -> int:
        """Return the number of messages acknowledged since the last call."""
        with suppress(BlockingIOError):
            return len(self._broker.recv(65_536)) // 4
        return 0


@pytest.fixture
def scene() -> Iterator[Scene]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield Scene(ours, theirs)


def test_readers_hear_once_for_a_read_before_it_is_acknowledged(scene: Scene) -> None:
    scene.readers.append(Reader(scene))
    scene.send(*[b"x"] * ACKS_TOGETHER)
    scene.wake_up()
    assert scene.readers[0].seen == [(ACKS_TOGETHER, 0)]
    assert scene.acknowledged() == ACKS_TOGETHER
    scene.send(b"y")
    scene.next_call()
    assert scene.readers[0].seen == [(ACKS_TOGETHER, 0), (ACKS_TOGETHER + 1, 0)]


def test_readers_hear_what_came_before_a_packet_that_ends_the_connection(scene: Scene) -> None:
    scene.readers.append(Reader(scene))
    scene.send(b"x")
    scene.say(packets.packet(0x32, b"\0\x09cut"))
    scene.wake_up()
    assert scene.readers[0].seen == [(1, 0)]
    assert len(scene.lost) == 1


def test_after_a_read_nobody_is_woken_until_a_pause_is_over(scene: Scene) -> None:
    scene.send(b"1")
    scene.wake_up()
    scene.send(b"2", b"3")
    assert scene.loop.reader is None
    assert scene.heard == [b"1"]
    assert scene.next_call() == PAUSE_S
    assert scene.heard == [b"1", b"2", b"3"]


def test_a_pause_in_which_nothing_came_ends_in_acknowledging_and_listening(scene: Scene) -> None:
    scene.send(b"1", b"2")
    scene.wake_up()
    assert scene.acknowledged() == 0
    scene.next_call()
    assert scene.acknowledged() == 2
    assert scene.loop.reader is not None
    assert not scene.loop.calls


def test_many_messages_are_acknowledged_and_followed_at_once(scene: Scene) -> None:
    scene.send(*[b"x"] * 8)
    scene.wake_up()
    assert scene.acknowledged() == 8
    assert scene.loop.reader is None
    assert scene.next_call() == 0
    assert scene.loop.reader is not None


def test_a_trickle_is_acknowledged_before_a_broker_would_hold_back(scene: Scene) -> None:
    scene.send(b"x")
    scene.wake_up()
    for _ in range(30):
        scene.send(b"x")
        scene.next_call()
    assert len(scene.heard) == 31
    assert len(scene.heard) - scene.acknowledged() < 8


def test_what_the_broker_says_of_our_own_messages_makes_no_pause(scene: Scene) -> None:
    scene.say(packets.puback(1))
    scene.wake_up()
    scene.say(packets.publish("t", b"0", qos=0))
    scene.wake_up()
    assert scene.heard == [b"0"]
    assert scene.loop.reader is not None
    assert not scene.loop.calls


def test_being_woken_for_nothing_changes_nothing(scene: Scene) -> None:
    scene.wake_up()
    assert scene.loop.reader is not None
    assert not scene.loop.calls


def test_a_connection_that_was_closed_in_a_pause_is_not_read(scene: Scene) -> None:
    scene.send(b"1")
    scene.wake_up()
    scene.send(b"2")
    scene.wire.close()
    scene.next_call()
    assert scene.heard == [b"1"]
    assert not scene.lost
