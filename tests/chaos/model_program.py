"""Program: a llama.cpp server that notes each request for a reply.

usage: python -m tests.chaos.model_program MODEL HOST PORT SLOTS NOTES

Appends one line to NOTES when it has received a whole request, before llama.cpp gets it: the SHA-256 of the
request's grammar, which is the reply's text. If llama.cpp closes the connection at that moment, without a
byte of an answer, it has not read the request: then the same line with a minus follows. Otherwise the program
passes bytes on. llama.cpp ends with it.
"""

import asyncio
import hashlib
import json
import sys
from asyncio import Task
from collections import Counter
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from transports.llama.embedded_server import llama_process

_PIECE = 65_536
_MAX_HEAD = 1 << 20


def note_of(grammar: str) -> str:
    return hashlib.sha256(grammar.encode()).hexdigest()


def read_notes(files: Iterable[Path]) -> list[str]:
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    unread = Counter(line[1:] for line in lines if line.startswith("-"))
    return list((Counter(line for line in lines if not line.startswith("-")) - unread).elements())


class Passing:
    """Passes connections on to the server at `host` and `port`."""

    def __init__(self, host: str, port: int, notes: Path) -> None:
        self._to = host, port
        self._notes = notes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.LimitOverrunError):
            answers, requests = await asyncio.open_connection(*self._to)
            unanswered: list[str] = []
            try:
                passing = self._pass_requests(reader, requests, unanswered)
                _, answered = await _either(passing, _pass_bytes(answers, writer, unanswered))
                if answered:
                    self._note(*(f"-{note}" for note in unanswered))
            finally:
                requests.close()
        writer.close()

    def _note(self, *lines: str) -> None:
        with self._notes.open("a") as notes:
            notes.writelines(f"{line}\n" for line in lines)

    async def _pass_requests(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, unanswered: list[str]
    ) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = [line.partition(b":") for line in head.lower().split(b"\r\n")]
            length = next((int(value) for name, _, value in fields if name == b"content-length"), 0)
            body = await reader.readexactly(length)
            if head.startswith(b"POST ") and b"/completions" in head.partition(b"\r\n")[0]:
                unanswered.append(note_of(json.loads(body).get("grammar", "")))
                self._note(unanswered[-1])
            to.write(head + body)
            await to.drain()


async def _pass_bytes(reader: asyncio.StreamReader, to: asyncio.StreamWriter, unanswered: list[str]) -> None:
    while piece := await reader.read(_PIECE):
        unanswered.clear()
        to.write(piece)
        await to.drain()


async def _either(*works: Coroutine[Any, Any, None]) -> list[bool]:
    """Run both until one ends. Return which have ended."""
    tasks: list[Task[None]] = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return [task.done() for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _main(model: Path, host: str, port: int, slots: str, notes: Path) -> None:
    options = ["--parallel", slots, "--ctx-per-slot", "4096"]
    async with llama_process(model, 0, *options) as process:
        where = urlsplit(process.url)
        passing = Passing(str(where.hostname), where.port or 0, notes)
        async with await asyncio.start_server(passing.serve, host, port, limit=_MAX_HEAD, backlog=1024):
            sys.stdout.write("READY\n")
            sys.stdout.flush()
            await process.gone()


if __name__ == "__main__":
    _model, _host, _port, _slots, _notes = sys.argv[1:]
    asyncio.run(_main(Path(_model), _host, int(_port), _slots, Path(_notes)))
