"""CPU of replies with and without metrics, and of a scrape while streams are open; all in one process.

Rounds with and without metrics alternate. The model is a script, so the share of the metrics is larger than
beside a real model server.
"""

import argparse
import asyncio
import gc
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from gateway.assembly import Assembled, assemble
from gateway.contract.events import Delta, Done, Usage
from gateway.contract.requests import ChatRequest
from gateway.settings import Settings
from transports.scripted import ScriptedTransport, Step

TOKENS = 200
"""As many as a reply of scenario S3 has."""

REPLIES = 20
"""Replies at the same time in one round."""

SCRAPES = 50


@asynccontextmanager
async def gateway_of(folder: Path, held: asyncio.Event | None = None) -> AsyncIterator[Assembled]:
    """A gateway whose replies have TOKENS tokens, or one token and then wait for `held`."""

    def script(_: ChatRequest) -> list[Step]:
        if held is not None:
            return [[Delta("word")], held.wait, [Done("stop")]]
        return [*([Delta(" word")] for _ in range(TOKENS)), [Usage(7, TOKENS, TOKENS + 7), Done("stop")]]

    database = f"sqlite+aiosqlite:///{folder / 'gateway.db'}"
    settings = Settings(_env_file=None, database_url=database)  # type: ignore[call-arg]  # pydantic-settings
    assembled = assemble(settings, {"sse": ScriptedTransport(script, name="sse")})
    arrived: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    started = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        assert message["type"].endswith("complete"), message
        started.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(assembled.app({"type": "lifespan"}, arrived.get, send))  # type: ignore[arg-type]
        await arrived.put({"type": "lifespan.startup"})
        await started.wait()
        yield assembled
        await arrived.put({"type": "lifespan.shutdown"})


async def call(assembled: Assembled, method: str, path: str, body: bytes = b"", begun: Any = None) -> bytes:
    """Call the application and return the body of its response; `begun` is released at its second part."""
    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"},
        **{"method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""},
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        **{"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000)},
    }
    parts: list[bytes] = []
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not given:
            await asyncio.Event().wait()
        return given.pop()

    async def send(message: dict[str, Any]) -> None:
        parts.append(message.get("body", b""))
        if begun is not None and len(parts) == 2:
            begun.release()

    await assembled.app(scope, receive, send)  # type: ignore[arg-type]
    return b"".join(parts)


async def round_s(assembled: Assembled) -> float:
    """Return the CPU seconds of one round of replies."""
    gc.collect()
    before = time.process_time()
    question = json.dumps({"content": "Hi"}).encode()
    replies = await asyncio.gather(
        *(call(assembled, "POST", "/messages/stream", question) for _ in range(REPLIES))
    )
    assert all(b'"done"' in reply for reply in replies)
    return time.process_time() - before


async def compare(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with gateway_of(Path(folder)) as assembled:
            await round_s(assembled)
            shares: list[float] = []
            for _ in range(rounds):
                on = await round_s(assembled)
                totals = assembled.gateway.reply_totals
                with (
                    patch("gateway.core.reply_task.measured"),
                    patch.object(assembled.gateway.conversations, "_on_ended", lambda _: None),
                ):
                    off = await round_s(assembled)
                shares.append(on / off - 1)
            assert sum(totals.replies.values()) == REPLIES * (rounds + 1)
    low, middle, high = statistics.quantiles(shares, n=4)
    print(f"metrics add {middle:.2%} CPU to replies of {TOKENS} tokens (quartiles {low:.2%} to {high:.2%})")


async def scrape(streams: int) -> None:
    held = asyncio.Event()
    begun = asyncio.Semaphore(0)
    question = json.dumps({"content": "Hi"}).encode()
    with tempfile.TemporaryDirectory() as folder:
        async with gateway_of(Path(folder), held) as assembled, asyncio.TaskGroup() as group:
            for _ in range(streams):
                group.create_task(call(assembled, "POST", "/messages/stream", question, begun))
            for _ in range(streams):
                await begun.acquire()
            taken: list[float] = []
            for _ in range(SCRAPES):
                before = time.process_time()
                text = await call(assembled, "GET", "/metrics")
                taken.append((time.process_time() - before) * 1000)
            assert f"sluice_open_streams {streams}.0".encode() in text
            held.set()
    middle, worst = statistics.median(taken), max(taken)
    print(f"a scrape with {streams} open streams takes {middle:.1f} ms CPU (worst of {SCRAPES}: {worst:.1f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", help="pairs of rounds (default: %(default)s)", type=int, default=40)
    parser.add_argument("--streams", help="open streams (default: %(default)s)", type=int, default=2000)
    options = parser.parse_args()
    asyncio.run(compare(options.rounds))
    asyncio.run(scrape(options.streams))


if __name__ == "__main__":
    main()
