"""The campaign as a command: kills, freezes and cuts every part under open streams, and prints a table.

usage: python -m tests.chaos [--seed N] [--scale N] [--streams N] [--gateways N] [--only TEXT] ...
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.campaign import Result, campaign, errors_said
from tests.chaos.links import can_cut
from tests.chaos.plan import BY_MODE, FOR_ONE, Phase, Plan

COLUMNS = (
    *("fault", "mode", "times", "kills", "drops", "resumable replies", "complete", "of them taken over"),
    *("never asked", "ended early", "classic replies", "generated again", "broken promises"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=int, default=1, help="multiplies the number of faults")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--gateways", type=int, default=3)
    parser.add_argument("--only", default="", help="phases whose fault contains this text")
    parser.add_argument("--mode", choices=["sse", "mqtt"], help="phases in this mode only")
    parser.add_argument("--words", type=int, nargs=2, default=(8, 60), help="least and most of a reply")
    parser.add_argument("--logs", type=Path, help="folder for the logs of all parts")
    asked = parser.parse_args()
    namespaces = can_cut()
    if not namespaces:
        sys.stderr.write("no root, no iproute2 or no network namespaces: links are not cut\n")
    phases = tuple(
        Phase(fault, mode, times * asked.scale, asked.streams)
        for mode, faults in BY_MODE
        for fault, times in faults
        if asked.only in fault
        and asked.mode in (None, mode)
        and (namespaces or "cut off" not in fault)
        and (asked.gateways > 1 or fault.startswith(FOR_ONE))
    )
    least, most = asked.words
    plan = Plan(asked.seed, asked.gateways, phases, words=(least, most))
    folder = asked.logs or Path(tempfile.mkdtemp(prefix="sluice-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    _say(f"{_line(COLUMNS)}\n{_line(['---'] * len(COLUMNS))}")
    results = asyncio.run(_until_stopped(plan, folder))
    errors = errors_said(folder)
    broken = [line for result in results for line in result.tally.wrong]
    tallies = [result.tally for result in results]
    _say(
        f"\nseed {asked.seed}, {asked.gateways} gateways, {asked.streams} streams at a time, "
        f"{time.monotonic() - began:.0f} s: {sum(result.phase.times for result in results)} faults, "
        f"{sum(result.kills for result in results)} kills, {sum(tally.drops for tally in tallies)} drops by "
        f"clients, {sum(tally.losses for tally in tallies)} by faults, {len(broken)} broken promises, "
        f"{len(errors)} unexpected lines in {folder}"
    )
    for line in [*broken, *errors][:50]:
        _say(f"  {line}")
    raise SystemExit(bool(broken or errors))


async def _until_stopped(plan: Plan, folder: Path) -> list[Result]:
    """Run the campaign. SIGTERM ends it as Ctrl-C does, and leaves nothing behind."""
    task = asyncio.ensure_future(campaign(plan, folder, _report))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def _report(result: Result) -> None:
    phase, tally = result.phase, result.tally
    early = ", ".join(f"{count} {reason}" for reason, count in tally.early.most_common()) or "0"
    resumable = tally.complete + tally.unasked + tally.early.total()
    counts = (phase.times, result.kills, tally.drops, resumable, tally.complete, tally.taken_over)
    rest = (tally.unasked, early, tally.classic, tally.again, len(tally.wrong))
    _say(_line([phase.fault, phase.mode, *map(str, counts), *map(str, rest)]))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
