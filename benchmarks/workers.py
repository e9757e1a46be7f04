"""Compares several processes of one gateway with one, on PostgreSQL and with equal load for each process.

    python benchmarks/workers.py URL URL

Each URL is an empty PostgreSQL after `sluice db upgrade`: one for the process alone, one for the others.
Both run at the same time and get the load by turns, so that what disturbs the machine meets both.

With --idle, only one of the others gets load: then they do not push each other out of the caches of one CPU.
"""

import argparse
import dataclasses
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from harness.load import Endpoint
from harness.measurement import Target, measure
from harness.peers import SLUICE_PORT, UPSTREAM_PORT, sluice, started, upstream
from harness.programs import compile_parts, run_until_signal
from harness.scenarios import OVER_HTTP, Scenario


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("one", metavar="URL", help="database of the process alone")
    parser.add_argument("several", metavar="URL", help="database of the others")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--sluice", type=Path, help="the `sluice` command of another build")
    parser.add_argument("--scenarios", default="S4,S3lo")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--idle", action="store_true", help="give load to one of the others only")
    options = parser.parse_args()
    compile_parts()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, ExitStack() as stack:
        model = stack.enter_context(upstream(Path(folder)))

        def target(name: str, port: int, url: str, *more: str) -> Target:
            settings = {
                "PORT": str(port),
                "DATABASE_URL": url,
                "LLM_SERVER_URL": f"http://127.0.0.1:{UPSTREAM_PORT}",
                "LLM_COMM_MODE": "sse",
            }
            endpoint = Endpoint(f"http://127.0.0.1:{port}/messages/stream", '{"content":"Hi @MARKER@"}')
            peer = sluice(options.sluice, settings, *more)
            peer = dataclasses.replace(peer, name=name, port=port, endpoint=endpoint)
            return stack.enter_context(started(peer, Path(folder), helpers=(model,)))

        one = target("one", SLUICE_PORT, options.one)
        if options.idle:
            for number in range(2, options.workers + 1):
                target(f"idle-{number}", SLUICE_PORT + number, options.several)
            several = target("several", SLUICE_PORT + 1, options.several)
        else:
            several = target("several", SLUICE_PORT + 1, options.several, "--workers", str(options.workers))
        for name in options.scenarios.split(","):
            compare(name, one, several, options.workers, options.repeat, options.idle)
    return 0


def compare(name: str, one: Target, several: Target, workers: int, repeat: int, idle: bool) -> None:
    """Print CPU per reply of both, and the ratio of each round. The first round is a warm-up."""
    whole = OVER_HTTP[name]
    part = share(whole, workers)
    if idle:
        whole = part
    rounds = []
    for number in range(repeat + 1):
        by_turns = [(one, part), (several, whole)]
        told = {
            target.name: measure(target, load)
            for target, load in (by_turns if number % 2 else reversed(by_turns))
        }
        flawed = any(measured.flawed for measured in told.values())
        ms = {target: measured.cpu_ms_per_request for target, measured in told.items()}
        ratio = ms["several"] / ms["one"]
        foreign = max(measured.foreign_share for measured in told.values())
        print(
            f"{name} {ms['one']:.3f} {ms['several']:.3f} ms/reply, {ratio:.3f}, others {foreign:.0%}"
            f"{', FLAWED' if flawed else ''}{'' if number else ', warm-up'}",
            flush=True,
        )
        if number and not flawed:
            rounds.append(ratio)
    low, median, high = statistics.quantiles(rounds, n=4)
    print(f"{name}: {workers} processes ÷ one: {median:.3f} (quartiles {low:.3f} to {high:.3f})", flush=True)


def share(whole: Scenario, workers: int) -> Scenario:
    """Return the load of one of the processes."""
    return dataclasses.replace(
        whole, streams=max(1, whole.streams // workers), requests=whole.requests // workers
    )


if __name__ == "__main__":
    run_until_signal(main)
