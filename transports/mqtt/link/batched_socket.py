"""The socket that paho is given: one read for all that has come, one write for all that goes."""

import logging
import socket
import ssl
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Protocol

from gateway.contract.errors import ProtocolViolation
from transports.mqtt.link.link import MessageHandler
from transports.mqtt.link.packets import (
    ACK_BYTES,
    LONGEST_PACKET,
    PacketSplitter,
    decode_puback,
    decode_publish,
    encode_puback,
    is_plain_puback,
    is_quick,
)

log = logging.getLogger(__name__)

READ_BYTES = 16_384
"""As much as a TLS record holds: what stayed behind inside the TLS layer, the loop would not see."""
FULL_BYTES = 65_536
MOST_ACKS = 65_535
"""As many as a broker may wait for. Source: MQTT 5.0, 3.1.2.11.3."""

PAUSE_S = 0.001
"""How long the socket is left alone after messages. Being woken costs more than all the rest of a message, so
what comes meanwhile costs one wake-up together and one send that acknowledges it. What is no message to
acknowledge makes no pause: somebody may wait for the broker's word before publishing on."""
ACKS_TOGETHER = 8
"""So many acknowledgements go at once and the next read follows without a pause, or a broker would hold
back: most go on up to 20 unacknowledged messages, some only up to 10."""
READS_A_TURN = 64
"""Others want the loop too."""

_DISCONNECT = 0xE0
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class PacketLibrary(Protocol):
    """What we need of paho's client, by its own names."""

    def loop_read(self) -> object:
        """`recv` one packet."""
        ...

    def loop_write(self) -> object:
        """`send` every packet that waits, as long as the wire takes them."""
        ...

    def want_write(self) -> bool:
        """Whether packets still wait."""
        ...


class Wire:
    """Messages of QoS 0 and 1 go straight to their handler; what else comes is left to the library.

    max_payload: see PacketSplitter.
    on_taken: told the packet id of each of our messages that the broker acknowledged without a reason.
    on_lost: told why the connection cannot go on, and has the library close it.

    `recv`, `send`, `close` and `fileno` are what the library calls on its socket. Only whole packets wait to
    be sent, so that acknowledgements may stand between the library's.
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
    ) -> None:
        self._sock = sock
        self._loop = loop
        self._library = library
        self._mqtt_5 = mqtt_5
        self._on_message = on_message
        self._on_taken = on_taken
        self._on_lost = on_lost
        self._splitter = PacketSplitter(max_payload)
        self._for_library = b""
        self._unsent = bytearray()
        self._unsent_acks = 0
        self._listening = False
        self._waits_for_room = False
        self._closed = False

    def start(self) -> None:
        """Read from now on, in place of whoever read before."""
        if not self._closed:
            self._listen()

    def write_soon(self) -> None:
        """Send all packets of this loop turn when it is over."""
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
        """Hear what has come; acknowledge it if it is much, or if nothing has followed it."""
        if self._closed:
            return
        before = self._unsent_acks
        try:
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
        """See that `_read` is called again: when something comes, at once, or after a pause."""
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
        """Hear every packet that is here, until enough wait to be acknowledged."""
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
        if is_quick(packet):
            topic, payload, retained, packet_id = decode_publish(packet, self._mqtt_5)
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
        """Send what waits; come again for the rest when there is room."""
        waits = not self._flush() or self._library.want_write()
        if waits == self._waits_for_room:
            return
        self._waits_for_room = waits
        if waits:
            self._loop.add_writer(self._sock.fileno(), self._write)
        else:
            self._loop.remove_writer(self._sock.fileno())

    def _send_last(self, buffer: bytes | bytearray) -> int:
        """The library closes as soon as this is sent, so nothing may be left unsent, nor unread: closing on
        unread data resets the connection."""
        if not self._flush():
            raise BlockingIOError
        while self._receive():
            pass
        return self._sock.send(buffer)

    def _flush(self) -> bool:
        """Send what waits in one go; False if there was no room for all of it."""
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except _WOULD_BLOCK:
                self._unsent_acks = min(self._unsent_acks, len(self._unsent) // ACK_BYTES)
                return False
            del self._unsent[:sent]
        self._unsent_acks = 0
        return True
