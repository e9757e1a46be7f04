"""The socket that paho uses: it reads and writes many packets at once."""

import logging
import socket
import ssl
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Protocol

from gateway.contract.errors import ProtocolViolation
from gateway.contract.held_news import HeldNews
from transports.mqtt.link.link import MessageHandler
from transports.mqtt.link.packets import (
    ACK_BYTES,
    LONGEST_PACKET,
    MessageDecoder,
    PacketSplitter,
    decode_puback,
    encode_puback,
    is_plain_puback,
)

log = logging.getLogger(__name__)

READ_BYTES = 16_384
"""Size of a TLS record: the event loop would not notice bytes left inside the TLS layer."""
FULL_BYTES = 65_536
MOST_ACKS = 65_535
"""Maximum of unacknowledged messages of a broker. Source: MQTT 5.0, 3.1.2.11.3."""

PAUSE_S = 0.001
"""Pause in seconds before the next read after messages. A wake-up costs more than all other work on a
message, so all messages of a pause share one wake-up and one send of acknowledgements. There is no pause
after other packets: a caller may wait for the broker's acknowledgement before it publishes more."""
ACKS_TOGETHER = 8
"""Number of acknowledgements that are sent at once, with the next read without a pause: brokers stop sending
at 20 unacknowledged messages, some at 10."""
READS_A_TURN = 64
"""Maximum number of reads in a row, so that other tasks can run."""

_DISCONNECT = 0xE0
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class PacketLibrary(Protocol):
    """The methods of paho's client that Wire uses."""

    def loop_read(self) -> object:
        """`recv` one packet."""
        ...

    def loop_write(self) -> object:
        """`send` the waiting packets, as long as the wire accepts them."""
        ...

    def want_write(self) -> bool:
        """True if packets wait."""
        ...


class Wire:
    """Passes messages of QoS 0 and 1 directly to their handler, and all other packets to the library.

    The library calls `recv`, `send`, `close` and `fileno` as on its socket. Only whole packets wait to be
    sent, so that acknowledgements can be inserted between the library's packets.

    Args:
        max_payload: see PacketSplitter.
        on_taken: called with the packet id of each message that the broker acknowledged without a reason.
        held: holds back what the messages of one read cause, until all of them are handled.
        on_lost: called with the error when the connection is lost; it makes the library close the socket.
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: AbstractEventLoop,
        library: PacketLibrary,
        *,
        mqtt_5: bool,
        max_payload: int = LONGEST_PACKET,
        on_message: MessageHandler,
        on_taken: Callable[[int], None],
        on_lost: Callable[[Exception], None],
        held: HeldNews,
    ) -> None:
        self._sock = sock
        self._loop = loop
        self._library = library
        self._on_message = on_message
        self._on_taken = on_taken
        self._on_lost = on_lost
        self._held = held
        self._splitter = PacketSplitter(max_payload, mqtt_5=mqtt_5)
        self._decoder = MessageDecoder(mqtt_5)
        self._for_library = b""
        self._unsent = bytearray()
        self._unsent_acks = 0
        self._listening = False
        self._waits_for_room = False
        self._closed = False

    def start(self) -> None:
        """Start reading, in place of the library."""
        if not self._closed:
            self._listen()

    def write_soon(self) -> None:
        """Send all packets of this loop iteration at its end."""
        self._loop.call_soon(self._write)

    def recv(self, buffer_size: int) -> bytes:
        if not self._for_library:
            raise BlockingIOError
        data = self._for_library[:buffer_size]
        self._for_library = self._for_library[buffer_size:]
        return data

    def send(self, buffer: bytes | bytearray) -> int:
        if buffer[0] == _DISCONNECT:
            return self._send_last(buffer)
        if len(self._unsent) >= FULL_BYTES and not self._flush():
            raise BlockingIOError
        self._unsent += buffer
        return len(buffer)

    def close(self) -> None:
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def _listen(self) -> None:
        if not self._listening:
            self._listening = True
            self._loop.add_reader(self._sock.fileno(), self._read)

    def _read(self) -> None:
        """Read and handle packets. Acknowledge messages if there are many, or if no more follow."""
        if self._closed:
            return
        before = self._unsent_acks
        try:
            with self._held:
                self._hear_what_came()
            more = self._unsent_acks > before
            many = self._unsent_acks >= ACKS_TOGETHER
            if self._unsent and (many or not more) and not self._closed:
                self._send_waiting()
        except (OSError, ProtocolViolation) as exc:
            self._on_lost(exc)
        except Exception as exc:
            log.exception("the MQTT library cannot read what the broker sent")
            self._on_lost(exc)
        else:
            self._read_on(more, many)

    def _read_on(self, more: bool, many: bool) -> None:
        """Schedule the next `_read`: when the socket is readable, at once, or after a pause."""
        if self._closed:
            return
        if not more:
            self._listen()
            return
        if self._listening:
            self._listening = False
            self._loop.remove_reader(self._sock.fileno())
        if many:
            self._loop.call_soon(self._read)
        else:
            self._loop.call_later(PAUSE_S, self._read)

    def _hear_what_came(self) -> None:
        """Handle all received packets, until enough messages wait for their acknowledgement."""
        for _ in range(READS_A_TURN):
            received = self._receive()
            if not received:
                return
            for packet in self._splitter.feed(received):
                self._hear(packet)
                if self._closed:
                    return
            if self._unsent_acks >= ACKS_TOGETHER:
                break
        if self._unsent_acks > MOST_ACKS:
            raise BrokenPipeError("the broker takes no acknowledgements")

    def _hear(self, packet: bytes) -> None:
        message = self._decoder.decode(packet)
        if message is not None:
            topic, payload, retained, packet_id = message
            self._on_message(topic, payload, retained)
            if packet_id:
                self._unsent += encode_puback(packet_id)
                self._unsent_acks += 1
        elif is_plain_puback(packet):
            self._on_taken(decode_puback(packet))
        else:
            self._for_library = packet
            self._library.loop_read()

    def _receive(self) -> bytes:
        try:
            received = self._sock.recv(READ_BYTES)
        except _WOULD_BLOCK:
            return b""
        if not received:
            raise ConnectionResetError("the broker hung up")
        return received

    def _write(self) -> None:
        try:
            self._library.loop_write()
            if not self._closed:
                self._send_waiting()
        except OSError as exc:
            self._on_lost(exc)

    def _send_waiting(self) -> None:
        """Send the waiting packets; continue when the socket is writable."""
        waits = not self._flush() or self._library.want_write()
        if waits == self._waits_for_room:
            return
        self._waits_for_room = waits
        if waits:
            self._loop.add_writer(self._sock.fileno(), self._write)
        else:
            self._loop.remove_writer(self._sock.fileno())

    def _send_last(self, buffer: bytes | bytearray) -> int:
        """Send the library's last packet. It closes the socket next, so send all packets and read all data
        first: closing with unread data resets the connection."""
        if not self._flush():
            raise BlockingIOError
        while self._receive():
            pass
        return self._sock.send(buffer)

    def _flush(self) -> bool:
        """Send the waiting packets in one call; False if the socket did not take all."""
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except _WOULD_BLOCK:
                self._unsent_acks = min(self._unsent_acks, len(self._unsent) // ACK_BYTES)
                return False
            del self._unsent[:sent]
        self._unsent_acks = 0
        return True
