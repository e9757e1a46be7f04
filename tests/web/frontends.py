"""The requests and parsers of existing frontends. None of them is a complete SSE parser.

Their input is what `fetch` gives them: the reads of a socket, in order.
"""

import codecs
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

AWKWARD = 'He said: "yes"\r\n\r\n\\n is no newline,\u2028data: {} \u2029[DONE]\t👩‍👩‍👧 é\u0301\n\nEnd. '
PIECES = [AWKWARD[at : at + 3] for at in range(0, len(AWKWARD), 3)]
"""A text that breaks careless parsers, in pieces of three characters."""

Reads = Sequence[bytes]


@dataclass
class Screen:
    """Content that a frontend shows after the reply. finished: it received an end frame."""

    text: str = ""
    error: str | None = None
    finished: bool = False
    conversation: str | None = None


@dataclass(frozen=True)
class Frontend:
    """One frontend.

    request: returns the request's body for a message.
    show: turns the socket's reads into a Screen.
    tells_end: True if its stream has an end frame.
    """

    name: str
    path: str
    request: Callable[[str], dict[str, Any]]
    show: Callable[[Reads], Screen]
    tells_end: bool = True


def buffered_lines(reads: Reads) -> Iterator[str]:
    """Split lines correctly: keep the decoder's state and an incomplete line for the next read."""
    yield from _buffered(reads, "\n")


def buffered_blocks(reads: Reads) -> Iterator[str]:
    yield from _buffered(reads, "\n\n")


def _buffered(reads: Reads, separator: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    buffer = ""
    for read in reads:
        *parts, buffer = (buffer + decoder.decode(read)).split(separator)
        yield from parts


def unbuffered_lines(reads: Reads) -> Iterator[str]:
    """Split lines carelessly: decode and split each read on its own."""
    for read in reads:
        yield from read.decode().split("\n")


def unbuffered_blocks(reads: Reads) -> Iterator[str]:
    for read in reads:
        yield from (block for block in read.decode().split("\n\n") if block)


Splitter = Callable[[Reads], Iterator[str]]


def lunar(parts: Splitter, *, knows_done: bool) -> Callable[[Reads], Screen]:
    def show(reads: Reads) -> Screen:
        screen = Screen()
        for part in parts(reads):
            if not part.startswith("data: "):
                continue
            data = part[6:].strip()
            if knows_done and data == "[DONE]":
                screen.finished = True
                return screen
            try:
                event = json.loads(data)
            except ValueError:
                continue  # as a frontend that does not know [DONE]
            if event["type"] == "token":
                screen.text += event["content"]
            elif event["type"] == "error":
                screen.error = event["message"]
        return screen

    return show


def printer_lines(parts: Splitter) -> Callable[[Reads], Screen]:
    """Parse line by line and remember the event's name from the line before."""

    def show(reads: Reads) -> Screen:
        screen = Screen()
        name = ""
        for line in parts(reads):
            if line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                _hear_printer(screen, name, json.loads(line[5:]))
        return screen

    return show


def printer_blocks(parts: Splitter) -> Callable[[Reads], Screen]:
    """Parse block by block and search each for both lines."""

    def show(reads: Reads) -> Screen:
        screen = Screen()
        for block in parts(reads):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            _hear_printer(screen, fields["event"], json.loads(fields["data"]))
        return screen

    return show


def _hear_printer(screen: Screen, name: str, event: dict[str, str]) -> None:
    match name:
        case "conversation_id":
            screen.conversation = event["conversation_id"]
        case "message":
            screen.text += event["token"]
        case "stream_end":
            screen.finished = event["status"] in ("complete", "cancelled")
        case "error":
            screen.error = event["error"]


def words(parts: Splitter) -> Callable[[Reads], Screen]:
    """Append every parsed value: an object would show as `[object Object]`."""

    def show(reads: Reads) -> Screen:
        screen = Screen()
        for part in parts(reads):
            if part.startswith("data: "):
                said = json.loads(part[6:])
                assert isinstance(said, str)
                screen.text += said
        return screen

    return show


def text(parts: Splitter) -> Callable[[Reads], Screen]:
    def show(reads: Reads) -> Screen:
        said = [json.loads(part[6:])["text"] for part in parts(reads) if part.startswith("data: ")]
        return Screen("".join(said))

    return show


def lam(parts: Splitter) -> Callable[[Reads], Screen]:
    def show(reads: Reads) -> Screen:
        screen = Screen()
        for part in parts(reads):
            if not part.startswith("data: "):
                continue
            event = json.loads(part[6:])
            if event["type"] == "chunk":
                screen.text += event["content"]
            elif event["type"] == "done":
                screen.finished = True
                assert event["full_content"] == screen.text
            elif event["type"] == "error":
                screen.error = event["message"]
        return screen

    return show


def _ask_lunar(message: str) -> dict[str, Any]:
    return {"message": message, "history": [{"role": "user", "content": "earlier"}], "user_message": None}


def _ask_printer(message: str) -> dict[str, Any]:
    return {
        "user_message": message,
        "context_node_ids": ["n1", "n2"],
        "project_id": "2e3d8b1a-8c1f-4b43-9c0f-0d5a5f6a7b8c",
        "chat_node_id": "chat-1",
        "conversation_id": None,
    }


def _ask_words(message: str) -> dict[str, Any]:
    return {"message": message, "user_id": "ann", "context": {"deep": [1]}, "session_id": None}


def _ask_lam(message: str) -> dict[str, Any]:
    return {"content": message, "session_id": None, "template_id": None, "resumable": None, "theme": "dark"}


LUNAR = "/api/chat/stream"
PRINTER = "/api/chat/stream"
WORDS = "/api/v1/chat/unified/stream"
LAM = "/api/chatbot/messages/stream"

FRONTENDS = [
    Frontend("lunar by lines", LUNAR, _ask_lunar, lunar(buffered_lines, knows_done=True)),
    Frontend("lunar by blocks", LUNAR, _ask_lunar, lunar(buffered_blocks, knows_done=True)),
    Frontend("lunar by read and line", LUNAR, _ask_lunar, lunar(unbuffered_lines, knows_done=True)),
    Frontend("lunar without [DONE]", LUNAR, _ask_lunar, lunar(buffered_lines, knows_done=False), False),
    Frontend("printer by lines", PRINTER, _ask_printer, printer_lines(buffered_lines)),
    Frontend("printer by blocks", PRINTER, _ask_printer, printer_blocks(buffered_blocks)),
    Frontend("printer by read and line", PRINTER, _ask_printer, printer_lines(unbuffered_lines)),
    Frontend("printer by read and block", PRINTER, _ask_printer, printer_blocks(unbuffered_blocks)),
    Frontend("words by lines", WORDS, _ask_words, words(buffered_lines), False),
    Frontend("words by read and line", WORDS, _ask_words, words(unbuffered_lines), False),
    Frontend("words by read and block", WORDS, _ask_words, words(unbuffered_blocks), False),
    Frontend("text by lines", f"{WORDS}?format=text", _ask_words, text(buffered_lines), False),
    Frontend("text by read and line", f"{WORDS}?format=text", _ask_words, text(unbuffered_lines), False),
    Frontend("lam by lines", LAM, _ask_lam, lam(buffered_lines)),
    Frontend("lam by blocks", LAM, _ask_lam, lam(buffered_blocks)),
    Frontend("lam by read and block", LAM, _ask_lam, lam(unbuffered_blocks)),
]
