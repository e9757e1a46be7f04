"""Server-sent events as bytes: where one ends and the next begins."""

from gateway.contract.errors import ProtocolViolation

MAX_FRAME_BYTES = 1024 * 1024


class SseFramer:
    """Cuts a byte stream into the data of its events, wherever the network cut it.

    Lines end with LF, CRLF or CR and nothing else: U+2028 and its like stay inside their JSON.
    Comments, `event`, `id` and `retry` are skipped. Source: WHATWG HTML, 9.2.6.
    """

    __slots__ = ("_after_cr", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._after_cr = False

    def feed(self, received: bytes) -> list[bytes]:
        """Data of the events that `received` completes.

        Raises ProtocolViolation when more comes for an event that is over MAX_FRAME_BYTES already.
        """
        if len(self._rest) > MAX_FRAME_BYTES:
            raise ProtocolViolation(f"the model server sent an event of over {MAX_FRAME_BYTES} bytes")
        if self._after_cr and received:
            received = received.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in received:
            self._after_cr = received.endswith(b"\r")
            received = received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        rest = self._rest
        if rest:
            if b"\n\n" not in received and not (rest[-1:] == b"\n" == received[:1]):
                rest += received  # joined once the event is whole, not with every part of it
                return []
            received = bytes(rest + received)
            rest.clear()
        blocks = received.split(b"\n\n")
        if last := blocks.pop():
            rest += last
        frames = []
        for block in blocks:
            if block.startswith(b"data: ") and b"\n" not in block:
                frames.append(block[6:])
            elif (frame := _event_data(block)) is not None:
                frames.append(frame)
        return frames

    def unfinished(self) -> bytes | None:
        """Data of the event that the stream's end cut off, which SSE says to drop."""
        return _event_data(bytes(self._rest))


def _event_data(block: bytes) -> bytes | None:
    values = []
    for line in block.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            values.append(value.removeprefix(b" "))
    return b"\n".join(values) if values else None
