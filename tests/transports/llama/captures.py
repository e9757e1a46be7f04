"""Answers of llama.cpp's server as they came over the wire, head and all, with the chunk framing removed."""

from pathlib import Path

_FOLDER = Path(__file__).with_name("captures")

STREAMS = sorted(path.stem for path in _FOLDER.glob("*.http") if b"text/event-stream" in path.read_bytes())


def head(name: str) -> bytes:
    return _split(name)[0]


def body(name: str) -> bytes:
    return _split(name)[1]


def chunked(name: str) -> bytes:
    """The whole answer as llama.cpp sends it: one HTTP chunk for each event."""
    events = [event + b"\n\n" for event in body(name).removesuffix(b"\n\n").split(b"\n\n")]
    chunks = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    return head(name) + b"".join(chunks) + b"0\r\n\r\n"


def _split(name: str) -> tuple[bytes, bytes]:
    raw = (_FOLDER / f"{name}.http").read_bytes()
    at = raw.index(b"\r\n\r\n") + 4
    return raw[:at], raw[at:]
