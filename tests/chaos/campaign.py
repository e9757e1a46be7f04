"""Runs the phases of a plan and judges each one."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.faults import make, switch
from tests.chaos.plan import Phase, Plan
from tests.chaos.readers import Client, Heard
from tests.chaos.records import Row
from tests.chaos.town import Town, running_town
from tests.chaos.verdicts import Tally, judged
from tests.live.looking import look_again

SETTLE_S = 600.0
"""Seconds after the last fault within which all rows must have an end."""

_UNEXPECTED = re.compile(r"Traceback|unexpected error|CRITICAL| ERROR (?!.*the database takes no changes)")


@dataclass(frozen=True, slots=True)
class Result:
    """kills: number of processes that were killed."""

    phase: Phase
    kills: int
    tally: Tally


async def campaign(plan: Plan, folder: Path, report: Callable[[Result], None]) -> list[Result]:
    """Run all phases against one town, and report each result."""
    results: list[Result] = []
    async with running_town(plan, folder) as town:
        for number, phase in enumerate(plan.phases):
            result = await _phase(plan, number, phase, town)
            results.append(result)
            with (folder / "broken.txt").open("a") as broken:
                broken.writelines(f"{line}\n" for line in result.tally.wrong)
            report(result)
    return results


def errors_said(folder: Path) -> list[str]:
    """Return the lines of gateways' and workers' logs that no fault excuses."""
    return [
        f"{log.name}: {line}"
        for log in sorted([*folder.glob("gateway-*.log"), *folder.glob("worker-*.log")])
        for line in log.read_text(errors="replace").splitlines()
        if _UNEXPECTED.search(line)
    ]


async def _phase(plan: Plan, number: int, phase: Phase, town: Town) -> Result:
    await switch(town, phase.mode)
    chance = random.Random(f"{plan.seed}-{number}")
    clients = [Client(town, f"{plan.seed}-{number}-{each}", plan.words) for each in range(phase.streams)]
    enough, kills = asyncio.Event(), 0
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run(enough))
        await asyncio.sleep(plan.pause_s[1])
        for _ in range(phase.times):
            kills += await make(phase.fault, town, chance)
            await asyncio.sleep(chance.uniform(*plan.pause_s))
        enough.set()
    heard = [reply for client in clients for reply in client.heard]
    rows = await _settled_rows(town, heard)
    return Result(phase, kills, judged(phase.fault, heard, rows, Counter(town.generations())))


async def _settled_rows(town: Town, heard: list[Heard]) -> dict[str, Row]:
    """Return the rows when all have ended, or as they are after SETTLE_S."""
    ids = {reply.stream_id for reply in heard}
    rows: dict[str, Row] = {}
    try:
        async with asyncio.timeout(SETTLE_S):
            while True:
                told = await asyncio.to_thread(town.records.rows)
                rows = {row.stream_id: row for row in told if row.stream_id in ids}
                if all(row.status != "streaming" for row in rows.values()):
                    return rows
                await look_again()
    except TimeoutError:
        return rows
