"""CPU time of a token and of a first token in each dialect, beside `lam`: python benchmarks/dialects.py

A token: from the transport's `hear` through the journal and the encoder to the write, without the socket. A
first token: a request to a gateway in this process, from its connection until its client has read the first
token; the end of the reply waits until then. A request: until its client has read the end. The figures are
the lowest of all rounds: other programs only add to them. Responses are resumable, since they are stored:
compare them with a resumable reply of `lam`.
"""

import argparse
import asyncio
import json
import logging
import math
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gateway.assembly import Assembled, assemble
from gateway.contract.events import Delta, Done
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
from transports.scripted import ScriptedTransport

TOKENS = 500
"""Measured at once, in a few milliseconds: dialects take turns, so that a busy machine meets all alike."""
REQUESTS = 5
FIRST = b"zebra"
S3_US = 65.7
"""Of CPU time for a token of `lam` in scenario S3 of run.py, with sockets and the model server's stream."""
HI = [{"role": "user", "content": "Hi"}]
UI_HI = [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}]
UNIFIED = "/messages/stream"

CALLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "lam": (UNIFIED, {"content": "Hi"}),
    "lam, resumable": (UNIFIED, {"content": "Hi", "resumable": True}),
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


class Running:
    outcome = None


async def token_us(rounds: int) -> dict[str, float]:
    """Return for each dialect the microseconds of a token."""
    lowest = dict.fromkeys(CALLS, math.inf)
    journal = MemoryJournal(max_bytes=1_000_000)
    for name in [name for _ in range(rounds) for name in CALLS]:
        dialect, sink = DIALECTS[name.partition(",")[0]], Sink()
        writer = journal.open(name)
        stream = ReplyStream(sink, dialect, dialect.encoder("0" * 32), Pulse(15))
        reader = journal.follow(name, stream.hear)
        serving = asyncio.create_task(stream.serve(reader, sink.send, []))
        await asyncio.sleep(0)
        hear = recording(ReplyAccumulator(time.monotonic), writer, Running())
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
    """Run in the child: send each request, say when its first token has come, and whether it ended well."""
    while (request := orders.recv()) is not None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request)
            read = b""
            while FIRST not in read and (piece := connection.recv(65536)):
                read += piece
            orders.send(FIRST in read)
            while piece := connection.recv(65536):
                read += piece
        orders.send(read.startswith(b"HTTP/1.1 200"))


def _request(dialect: str, number: int) -> bytes:
    path, body = CALLS[dialect]
    written = json.dumps(body).replace("#", str(number)).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(written)}\r\n\r\n"
    )
    return head.encode() + written


async def request_us(folder: Path, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return for each dialect the microseconds until the first token and of a whole request for one."""
    settings = Settings(
        _env_file=None,
        host="127.0.0.1",
        port=0,
        llm_comm_mode="sse",
        rate_per_minute=1_000_000,
        database_url=f"sqlite+aiosqlite:///{folder / 'bench.db'}",
    )
    able = Abilities(models=lambda: ["tiny"])
    heard = asyncio.Event()
    script = [[Delta(FIRST.decode())], heard.wait, [Done("stop")]]
    transport = ScriptedTransport(lambda _: script, name="sse", abilities=able)
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
    firsts, wholes = dict.fromkeys(CALLS, math.inf), dict.fromkeys(CALLS, math.inf)

    news = asyncio.Event()
    asyncio.get_running_loop().add_reader(ours.fileno(), news.set)

    async def told(name: str) -> None:
        await news.wait()
        if not ours.recv():
            raise RuntimeError(f"{name}: a request was refused")
        if not ours.poll():
            news.clear()

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve([listener]))
        await listening.wait()
        for number in range(rounds):
            for name in CALLS:
                first = whole = 0.0
                for one in range(REQUESTS):
                    heard.clear()
                    began = time.process_time()
                    ours.send(_request(name, number * REQUESTS + one))
                    await told(name)
                    first += time.process_time() - began
                    heard.set()
                    await told(name)
                    whole += time.process_time() - began
                firsts[name] = min(firsts[name], first / REQUESTS * 1e6)
                wholes[name] = min(wholes[name], whole / REQUESTS * 1e6)
        asyncio.get_running_loop().remove_reader(ours.fileno())
        ours.send(None)
        server.stop()
        server.should_exit = True
        await serving
    return firsts, wholes


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
        first, whole = runner.run(request_us(Path(folder), options.rounds))
    print(
        "| dialect | CPU µs/token | more than lam | S3 ÷ lam | µs/first token | ÷ lam | µs/request | ÷ lam |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in CALLS:
        more = token[name] - token["lam"]
        on_s3 = 1 + more / S3_US
        ratios = first[name] / first["lam"], whole[name] / whole["lam"]
        print(
            f"| {name} | {token[name]:.2f} | {more:.2f} | {on_s3:.3f} "
            f"| {first[name]:.0f} | {ratios[0]:.2f} | {whole[name]:.0f} | {ratios[1]:.2f} |"
        )


if __name__ == "__main__":
    main()
