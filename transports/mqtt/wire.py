"""The socket that paho is given: it reads what we pass on, and what it writes leaves with everything else."""

import socket
import ssl

READ_BYTES = 65_536
"""More than a TLS record holds, so that nothing stays inside the TLS layer, where the loop sees nothing."""
FULL_BYTES = 65_536
ACKNOWLEDGEMENTS_MAX_BYTES = 4 * 65_535
"""As many as a broker may wait for. Source: MQTT 5.0, 3.1.2.11.3."""

_DISCONNECT = 0xE0
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """`receive`, `acknowledge` and `flush` are ours; the rest is what paho calls on its socket.

    Only whole packets wait to be sent, so that ours may stand between paho's.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._for_paho = b""
        self._unsent = bytearray()
        self.closed = False

    def receive(self) -> bytes:
        """What has arrived, b"" if nothing has; raises OSError, also when the broker hung up."""
        try:
            received = self._sock.recv(READ_BYTES)
        except _WOULD_BLOCK:
            return b""
        if not received:
            raise ConnectionResetError("the broker hung up")
        return received

    def pass_on(self, packet: bytes) -> None:
        """Let paho read this packet."""
        self._for_paho = packet

    def acknowledge(self, packets: bytes) -> None:
        """Send these with whatever comes next; raises OSError if the broker has taken none for too long."""
        if len(self._unsent) > FULL_BYTES + ACKNOWLEDGEMENTS_MAX_BYTES:
            raise BrokenPipeError("the broker does not read")
        self._unsent += packets

    def flush(self) -> bool:
        """Send what waits in one go; False if there was no room for all of it. Raises OSError."""
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except _WOULD_BLOCK:
                return False
            del self._unsent[:sent]
        return True

    def recv(self, size: int) -> bytes:
        if not self._for_paho:
            raise BlockingIOError
        data, self._for_paho = self._for_paho[:size], self._for_paho[size:]
        return data

    def send(self, packet: bytes) -> int:
        """All of it, or BlockingIOError."""
        last = packet[0] == _DISCONNECT
        if (last or len(self._unsent) >= FULL_BYTES) and not self.flush():
            raise BlockingIOError
        if last:  # paho closes as soon as this is sent
            return self._sock.send(packet)
        self._unsent += packet
        return len(packet)

    def close(self) -> None:
        self.closed = True
        self._unsent.clear()
        self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)
