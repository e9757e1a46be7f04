"""CPU of replies with and without metrics, and of a scrape while streams are open; all in one process.

Short rounds with and without metrics alternate, each of them first in turn, so that what else runs on the
machine meets both. The model is a script and there is no socket, so the share of the metrics is larger than
in scenario S3.
"""

import argparse
import asyncio
import gc
import json
import math
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
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

REPLIES = 10
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
    gc.collect(1)
    before = time.process_time()
    question = json.dumps({"content": "Hi"}).encode()
    replies = await asyncio.gather(
        *(call(assembled, "POST", "/messages/stream", question) for _ in range(REPLIES))
    )
    assert all(b'"done"' in reply for reply in replies)
    return time.process_time() - before


@contextmanager
def without_metrics(assembled: Assembled) -> Iterator[None]:
    with (
        patch("gateway.core.measured_reply.measured", lambda *_, **__: None),
        patch.object(assembled.gateway.conversations, "_on_ended", lambda _: None),
    ):
        yield


async def compare(pairs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with gateway_of(Path(folder)) as assembled:
            await round_s(assembled)
            gc.freeze()
            shares: list[float] = []
            for number in range(pairs):
                taken: dict[bool, float] = {}
                for measures in (number % 2 == 0, number % 2 == 1):
                    with nullcontext() if measures else without_metrics(assembled):
                        taken[measures] = await round_s(assembled)
                shares.append(taken[True] / taken[False] - 1)
            totals = assembled.gateway.reply_totals
            assert sum(totals.replies.values()) == REPLIES * (pairs + 1)
    low, high = interval_of_median(shares)
    print(
        f"metrics add {statistics.median(shares):.2%} CPU to replies of {TOKENS} tokens "
        f"(95 % interval {low:.2%} to {high:.2%}, {pairs} pairs of rounds)"
    )


def interval_of_median(values: list[float]) -> tuple[float, float]:
    """Return the values that enclose the median with 95 % confidence, whatever their distribution."""
    ordered = sorted(values)
    middle, far = len(ordered) / 2, 0.98 * math.sqrt(len(ordered))
    return ordered[max(0, math.floor(middle - far))], ordered[min(len(ordered) - 1, math.ceil(middle + far))]


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
    parser.add_argument("--pairs", help="pairs of rounds (default: %(default)s)", type=int, default=600)
    parser.add_argument("--streams", help="open streams (default: %(default)s)", type=int, default=2000)
    options = parser.parse_args()
    asyncio.run(compare(options.pairs))
    asyncio.run(scrape(options.streams))


if __name__ == "__main__":
    main()
