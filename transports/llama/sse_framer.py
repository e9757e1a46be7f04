"""Splits a stream of server-sent events into the data of its events."""

from gateway.contract.errors import ProtocolViolation
from transports.lenient.error_words import plain_words
from transports.llama.words import HEARTBEATS, word_in

MAX_FRAME_BYTES = 16 * 1024 * 1024


class ErrorData(bytes):
    """Data of an event named `error`, or of a field `error`."""


class SseFramer:
    """Splits a byte stream into the data of its events, in reads of any size.

    Lines end with LF, CRLF or CR and nothing else: U+2028 and its like stay inside their JSON. Comments, `id`
    and `retry` are skipped. Source: WHATWG HTML, 9.2.6. Beyond it, two forms of errors are data too: a field
    `error` (llama.cpp until 2025) and JSON without a field name (Ollama).

    between_events: no part of an event is waiting for its end.
    """

    __slots__ = ("_after_cr", "_has_cr", "_rest", "between_events")

    def __init__(self) -> None:
        self.between_events = True
        self._rest: bytes | bytearray = b""
        self._after_cr = self._has_cr = False

    def feed(self, received: bytes) -> list[bytes]:
        """Return the data of the events that `received` completes.

        Raises ProtocolViolation if an event that already exceeds MAX_FRAME_BYTES goes on.
        """
        if len(self._rest) > MAX_FRAME_BYTES:
            raise ProtocolViolation(f"the model server sent an event of over {MAX_FRAME_BYTES} bytes")
        if self._after_cr and received:
            received = received.removeprefix(b"\n")
            self._after_cr = False
        # `in` would make and drop an exception first: bytes can also contain numbers.
        if received.find(b"\r") >= 0:
            self._has_cr = True
            self._after_cr = received.endswith(b"\r")
            received = received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        rest = self._rest
        if rest:
            if received.find(b"\n\n") < 0 and not (rest[-1:] == b"\n" == received[:1]):
                self._rest += received  # joined once, when the event is complete
                return []
            received = bytes(rest + received)
            self._rest = b""
        blocks = received.split(b"\n\n")
        if last := blocks.pop():
            self._rest = bytearray(last)
        self.between_events = not (last or self._after_cr)
        frames = []
        for block in blocks:
            if block.startswith(b"data: ") and block.find(b"\n") < 0:
                frames.append(block[6:])
            else:
                frames += _event_data(block)
        return frames

    @property
    def unfinished_bytes(self) -> int | None:
        """Number of bytes after the latest event; None if that is unknown, because lines end with CR."""
        return None if self._has_cr else len(self._rest)

    @property
    def holds_done(self) -> bool:
        """True if `[DONE]` has arrived without the blank line behind it."""
        return len(self._rest) < 16 and self._rest.rstrip(b"\n").endswith(b"[DONE]")

    def unfinished(self) -> list[bytes]:
        """Return the data, maybe incomplete, of an event cut off by the stream's end. SSE says to drop it."""
        return _event_data(bytes(self._rest))

    def plain_words(self) -> str | None:
        """Return the text at the stream's end if it is plain text and not an event, else None."""
        words = plain_words(bytes(self._rest))
        if words is None or len(words) < len("event:") or words.startswith(_STARTS):
            return None
        return words


_STARTS = (":", "data:", "event:", "id:", "retry:", "error:")


_BLANKS = b" \t\0"
"""Some servers and proxies send one of them as a heartbeat, right before the next field."""


def _event_data(block: bytes) -> list[bytes]:
    values: list[bytes] = []
    errors: list[bytes] = []
    bare: list[bytes] = []
    is_error = is_ping = False
    for line in block.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        name, _, value = line.partition(b":")
        name = name.strip(_BLANKS).lower()
        if name == b"data":
            if not is_ping or b'"error' in value:
                values.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.strip().lower()
            is_error, is_ping = event == b"error", word_in(event) in HEARTBEATS
        elif name == b"error":
            errors.append(value.removeprefix(b" "))
        elif bare or line.lstrip()[:1] in (b"{", b"["):
            bare.append(line)
    data = [b"\n".join(values)] if values or is_error else []
    if is_error:
        data = [ErrorData(data[0])]
    return [
        *([b"\n".join(bare)] if bare else []),
        *([ErrorData(b"\n".join(errors))] if errors else []),
        *data,
    ]
