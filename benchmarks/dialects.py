"""CPU time of a token and of a first token in each dialect, beside `lam`: python benchmarks/dialects.py

A token: from the transport's `hear` through the journal and the encoder to the write, without the socket. A
first token: a whole request for one token, to a gateway in this process. The figures are the lowest of all
rounds: other programs only add to them.
"""

import argparse
import asyncio
import json
import logging
import math
import multiprocessing
import selectors
import socket
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gateway.assembly import Assembled, assemble
from gateway.contract.events import Delta
from gateway.contract.transport import Abilities
from gateway.core.reply_accumulator import ReplyAccumulator, recording
from gateway.dialects.registry import DIALECTS
from gateway.journals.memory import MemoryJournal
from gateway.process.event_loop import event_loop_factory
from gateway.process.serve import listen, server_of
from gateway.settings import Settings
from gateway.web.chat.reply_stream import ReplyStream
from gateway.web.http.asgi import ConnectionWatcher, Message
from gateway.web.http.sse_writer import Pulse
from transports.scripted import ScriptedTransport, tokens

TOKENS = 500
"""Measured at once, in a few milliseconds: dialects take turns, so that a busy machine meets all alike."""
REQUESTS = 5
S3_US = 65.7
"""Of CPU time for a token of `lam` in scenario S3 of run.py, with sockets and the model server's stream."""
HI = [{"role": "user", "content": "Hi"}]
UI_HI = [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}]
UNIFIED = "/messages/stream"

CALLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "lam": (UNIFIED, {"content": "Hi"}),
    "lunar": (f"{UNIFIED}?format=lunar", {"content": "Hi"}),
    "printer": (f"{UNIFIED}?format=printer", {"content": "Hi"}),
    "words": (f"{UNIFIED}?format=words", {"content": "Hi"}),
    "text": (f"{UNIFIED}?format=text", {"content": "Hi"}),
    "plain": (f"{UNIFIED}?format=plain", {"content": "Hi"}),
    "openai": ("/v1/chat/completions", {"messages": HI, "stream": True}),
    "completions": ("/v1/completions", {"prompt": "Hi", "stream": True}),
    "responses": ("/v1/responses", {"input": "Hi", "stream": True}),
    "anthropic": ("/v1/messages", {"messages": HI, "max_tokens": 999, "stream": True}),
    "ollama": ("/api/chat", {"model": "tiny", "messages": HI}),
    "ag-ui": ("/api/ag-ui", {"threadId": "t#", "runId": "r", "messages": [{"id": "1", **HI[0]}]}),
    "ai-sdk": ("/api/chat", {"id": "c#", "messages": UI_HI, "trigger": "submit-message"}),
}
"""Path and body of each dialect's request. `#` becomes a number: each request has its own conversation."""


class Sink:
    """A connection that takes everything."""

    writable = True

    def write_chunk(self, body: bytes) -> None:
        pass

    def abort(self) -> None:
        pass

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        pass

    async def send(self, message: Message) -> None:
        pass


async def token_us(rounds: int) -> dict[str, float]:
    """Return for each dialect the microseconds of a token."""
    lowest = dict.fromkeys(CALLS, math.inf)
    journal = MemoryJournal(max_bytes=1_000_000)
    for name in [name for _ in range(rounds) for name in CALLS]:
        dialect, sink = DIALECTS[name], Sink()
        writer = journal.open(name)
        stream = ReplyStream(sink, dialect, dialect.encoder("0" * 32), Pulse(15))
        reader = journal.follow(name, stream.hear)
        serving = asyncio.create_task(stream.serve(reader, sink.send, []))
        await asyncio.sleep(0)
        hear = recording(ReplyAccumulator(time.monotonic), writer, lambda: False)
        hear([Delta("token   0 ")])
        batches = [[Delta(f"token {number:3} ")] for number in range(TOKENS)]
        began = time.process_time_ns()
        for batch in batches:
            hear(batch)
        spent = time.process_time_ns() - began
        lowest[name] = min(lowest[name], spent / TOKENS / 1000)
        stream.connection_lost()
        await serving
        writer.close()
        journal.forget(name)
    return lowest


def read_streams(orders: Connection, port: int) -> None:
    """Run in the child: for each order, send its requests, read all streams and count those of status 200."""
    while (order := orders.recv()) is not None:
        requests, at_once = order
        waiting = list(reversed(requests))
        selector = selectors.DefaultSelector()
        answered = 0
        while waiting or selector.get_map():
            while waiting and len(selector.get_map()) < at_once:
                connection = socket.create_connection(("127.0.0.1", port))
                connection.sendall(waiting.pop())
                selector.register(connection, selectors.EVENT_READ)
            for key, _ in selector.select():
                if piece := key.fileobj.recv(65536):  # type: ignore[union-attr]
                    answered += b"HTTP/1.1 200" in piece
                    continue
                selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]
        orders.send(answered)


def _request(dialect: str, number: int) -> bytes:
    path, body = CALLS[dialect]
    written = json.dumps(body).replace("#", str(number)).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(written)}\r\n\r\n"
    )
    return head.encode() + written


async def first_us(folder: Path, rounds: int) -> dict[str, float]:
    """Return for each dialect the microseconds of a request for one token."""
    settings = Settings(
        _env_file=None,
        host="127.0.0.1",
        port=0,
        llm_comm_mode="sse",
        rate_per_minute=1_000_000,
        database_url=f"sqlite+aiosqlite:///{folder / 'bench.db'}",
    )
    able = Abilities(models=lambda: ["tiny"])
    transport = ScriptedTransport(lambda _: tokens("token"), name="sse", abilities=able)
    assembled = assemble(settings, {"sse": transport})
    listening = asyncio.Event()

    async def note_listening(_: Assembled) -> None:
        listening.set()

    listener = listen(settings)
    ours, theirs = multiprocessing.Pipe()
    reader = multiprocessing.get_context("spawn").Process(
        target=read_streams, args=(theirs, listener.getsockname()[1]), daemon=True
    )
    reader.start()
    server = server_of(assembled, note_listening)
    lowest = dict.fromkeys(CALLS, math.inf)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve([listener]))
        await listening.wait()
        for number in range(rounds):
            for name in CALLS:
                requests = [_request(name, number * REQUESTS + one) for one in range(REQUESTS)]
                began = time.process_time()
                ours.send((requests, 1))
                answered = await asyncio.to_thread(ours.recv)
                spent = time.process_time() - began
                if answered < REQUESTS:
                    raise RuntimeError(f"{name}: a request was refused")
                lowest[name] = min(lowest[name], spent / REQUESTS * 1e6)
        ours.send(None)
        server.stop()
        server.should_exit = True
        await serving
    return lowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", help="(default: %(default)s)", type=int, default=48)
    options = parser.parse_args()
    logging.getLogger("sluice").setLevel(logging.ERROR)
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=event_loop_factory()) as runner,
    ):
        token = runner.run(token_us(options.rounds))
        first = runner.run(first_us(Path(folder), options.rounds))
    print("| dialect | CPU µs/token | more than lam | S3 ÷ lam | CPU µs/first token | ÷ lam |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in CALLS:
        more = token[name] - token["lam"]
        on_s3 = 1 + more / S3_US
        ratio = first[name] / first["lam"]
        print(f"| {name} | {token[name]:.2f} | {more:.2f} | {on_s3:.3f} | {first[name]:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
