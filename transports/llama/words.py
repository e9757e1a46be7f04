"""Words that model servers send instead of a chunk."""

HEARTBEATS = frozenset((b"ping", b"pong", b"heartbeat", b"keepalive"))
NOTHING = HEARTBEATS | {b"", b"none", b"undefined", b"null"}
ENDS = frozenset((b"done", b"end"))

LONGEST = 32

_MARKS = b' \t\0"[]:.-_*'


def word_in(data: bytes) -> bytes:
    """Return data that may be a word, in lower case and without marks: `[DONE]`, `"ping"`, `: keep-alive`."""
    return data.translate(None, _MARKS).lower() if len(data) < LONGEST else data
