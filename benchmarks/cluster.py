"""How long a reader waits at another gateway: for a reply that runs elsewhere, and after its gateway's death.

    python benchmarks/cluster.py URL          # an empty PostgreSQL after `sluice db upgrade`

Two gateways share it. The fake model keeps no streams: a reply whose gateway is killed ends as `interrupted`
when the other gateway has taken it over, which is the moment that counts.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from harness.machine import cpu_s, process_tree
from harness.measurement import Target
from harness.peers import SLUICE_PORT, UPSTREAM_PORT, openai_endpoint, sluice, started, upstream
from harness.programs import compile_parts, run_until_signal

STREAMS = 50
LONG = {"content": "Hi [[n=20000 r=20]]", "resumable": True}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database", metavar="URL")
    parser.add_argument("--resumes", type=int, default=500)
    options = parser.parse_args()
    compile_parts()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, ExitStack() as stack:
        stack.enter_context(upstream(Path(folder)))
        gateways = [gateway(stack, Path(folder), options.database, port) for port in (0, 1)]
        asyncio.run(measured(gateways, options.resumes))
    return 0


def gateway(stack: ExitStack, folder: Path, database: str, number: int) -> Target:
    port = SLUICE_PORT + number
    settings = {
        "PORT": str(port),
        "INTERNAL_URL": f"http://127.0.0.1:{port}",
        "DATABASE_URL": database,
        "GATEWAY_NAME": f"gateway-{number}",
        "LLM_SERVER_URL": f"http://127.0.0.1:{UPSTREAM_PORT}",
        "LLM_COMM_MODE": "sse",
        "REPLY_DEADLINE_S": "900",
        "RATE_LIMIT_PER_MIN": "100000",
    }
    named = dataclasses.replace(
        sluice(None, settings), name=f"gateway-{number}", port=port, endpoint=openai_endpoint(port)
    )
    return stack.enter_context(started(named, folder, helpers=()))


async def measured(gateways: list[Target], resumes: int) -> None:
    one, other = (f"http://127.0.0.1:{SLUICE_PORT + number}" for number in (0, 1))
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as client:
        positions = [await begun(client, one) for _ in range(STREAMS)]
        await resume(client, other, positions, STREAMS)
        for name, url in (("at its own gateway", one), ("at another one", other)):
            before_s = cpu(gateways)
            waits = await resume(client, url, positions, resumes)
            each_ms = (cpu(gateways) - before_s) * 1e3 / resumes
            print(f"resume {name}: {shown(waits)}; CPU of both {each_ms:.2f} ms", flush=True)
        ends = [asyncio.create_task(end_of(client, other, stream_id)) for stream_id, _ in positions]
        await asyncio.sleep(2)
        os.kill(gateways[0].pid, signal.SIGKILL)
        killed_at = time.perf_counter()
        ended = await asyncio.gather(*ends)
        print(f"end after the death of its gateway: {shown([at - killed_at for at in ended])}")


def cpu(gateways: list[Target]) -> float:
    return sum(cpu_s(process_tree(each.pid)) for each in gateways)


async def begun(client: httpx.AsyncClient, url: str) -> tuple[str, str]:
    """Ask, read until the first text, and disconnect. Return stream id and position."""
    async with client.stream("POST", f"{url}/messages/stream", json=LONG) as response:
        response.raise_for_status()
        async for id, event in events(response):
            if event["type"] == "chunk":
                return response.headers["sluice-stream-id"], id
    raise SystemExit("the fake model said nothing")


async def resume(
    client: httpx.AsyncClient, url: str, positions: list[tuple[str, str]], times: int
) -> list[float]:
    """Return the seconds from each request to its first event, one request at a time."""
    waits = []
    for number in range(times):
        stream_id, last_id = positions[number % len(positions)]
        before = time.perf_counter()
        headers = {"last-event-id": last_id}
        async with client.stream("GET", f"{url}/messages/stream/{stream_id}", headers=headers) as response:
            response.raise_for_status()
            async for _ in events(response):
                waits.append(time.perf_counter() - before)
                break
    return waits


async def end_of(client: httpx.AsyncClient, url: str, stream_id: str) -> float:
    """Read to the end of the reply, coming back as often as it takes, and return the time of its end."""
    last_id = ""
    while True:
        headers = {"last-event-id": last_id} if last_id else {}
        try:
            async with client.stream(
                "GET", f"{url}/messages/stream/{stream_id}", headers=headers
            ) as response:
                if response.status_code == 200:
                    async for id, event in events(response):
                        last_id = id
                        if event["type"] in ("done", "error"):
                            return time.perf_counter()
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.05)


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    id, rest = "", b""
    async for received in response.aiter_raw():
        *frames, rest = (rest + received).split(b"\n\n")
        for frame in frames:
            fields = dict(line.partition(": ")[::2] for line in frame.decode().split("\n"))
            id = fields.get("id", id)
            if "data" in fields:
                yield id, json.loads(fields["data"])


def shown(waits: list[float]) -> str:
    cuts = statistics.quantiles(waits, n=100)
    return f"p50 {cuts[49] * 1e3:.1f}, p99 {cuts[98] * 1e3:.1f}, longest {max(waits) * 1e3:.1f} ms"


if __name__ == "__main__":
    run_until_signal(main)
