"""The campaign as a command: kills, freezes and cuts every part under open streams, and prints a table.

usage: python -m tests.chaos [--seed N] [--scale N] [--streams N] [--gateways N] [--only TEXT] ...
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.campaign import Result, campaign, errors_said
from tests.chaos.links import can_cut
from tests.chaos.plan import Fault, Mode, Phase, Plan

_ALWAYS: tuple[tuple[Fault, int], ...] = (
    ("gateway killed, started again", 8),
    ("gateway killed, started after 10 s", 1),
    ("gateway frozen", 1),
    ("gateways stopped and started in turn", 1),
    ("PostgreSQL restarted", 1),
)
_WITH_NAMESPACES: tuple[tuple[Fault, int], ...] = (
    ("gateway cut off from the database", 1),
    ("gateway cut off from the model server", 1),
    ("gateway cut off from everything", 1),
)
_WORKERS: tuple[tuple[Fault, int], ...] = (
    ("gateway killed, started again", 8),
    ("broker killed, started again", 1),
    ("worker killed, started again", 1),
)
_MODELS: tuple[tuple[Fault, int], ...] = (("model server killed, started again", 1),)

TABLE = "| fault | mode | times | replies | complete | taken over | ended early | lost or doubled | drops |"


BY_MODE: tuple[tuple[Mode, tuple[tuple[Fault, int], ...]], ...] = (
    ("sse", (*_ALWAYS, *_WITH_NAMESPACES, *_MODELS)),
    ("mqtt", _WORKERS),
)
_FOR_ONE = ("gateway killed", "broker", "worker", "model")
"""Beginnings of the faults that a campaign with one gateway makes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=int, default=1, help="multiplies the number of faults")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--gateways", type=int, default=3)
    parser.add_argument("--only", default="", help="phases whose fault contains this text")
    parser.add_argument("--mode", choices=["sse", "mqtt"], help="phases in this mode only")
    parser.add_argument("--words", type=int, nargs=2, default=(60, 400), help="least and most of a reply")
    parser.add_argument("--logs", type=Path, help="folder for the logs of all parts")
    asked = parser.parse_args()
    namespaces = can_cut()
    if not namespaces:
        sys.stderr.write("no root or no iproute2: links are not cut\n")
    phases = tuple(
        Phase(fault, mode, times * asked.scale, asked.streams)
        for mode, faults in BY_MODE
        for fault, times in faults
        if asked.only in fault
        and asked.mode in (None, mode)
        and (namespaces or "cut off" not in fault)
        and (asked.gateways > 1 or fault.startswith(_FOR_ONE))
    )
    cuts = any("cut off" in phase.fault for phase in phases)
    least, most = asked.words
    plan = Plan(asked.seed, asked.gateways, phases, namespaces=cuts, words=(least, most))
    folder = asked.logs or Path(tempfile.mkdtemp(prefix="sluice-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    _say(f"{TABLE}\n|{'---|' * (TABLE.count('|') - 1)}")
    results = asyncio.run(campaign(plan, folder, _report))
    errors = errors_said(folder)
    failures = [line for result in results for line in result.failures]
    _say(
        f"\nseed {asked.seed}, {asked.gateways} gateways, {asked.streams} streams, "
        f"{time.monotonic() - began:.0f} s: {sum(result.phase.times for result in results)} faults, "
        f"{sum(result.tally.drops for result in results)} drops, {len(failures)} broken promises, "
        f"{len(errors)} unexpected lines in {folder}"
    )
    for line in [*failures, *errors][:50]:
        _say(f"  {line}")
    raise SystemExit(bool(failures or errors))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _report(result: Result) -> None:
    phase, tally = result.phase, result.tally
    replies = tally.complete + tally.classic + tally.honest.total() + len(tally.wrong)
    early = ", ".join(f"{count} {reason}" for reason, count in tally.honest.most_common()) or "0"
    _say(
        f"| {phase.fault} | {phase.mode} | {phase.times} | {replies} | {tally.complete} | {tally.taken_over} "
        f"| {early} | {len(tally.wrong)} | {tally.drops} |"
    )


if __name__ == "__main__":
    main()
