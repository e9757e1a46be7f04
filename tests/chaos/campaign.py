"""Runs the phases of a plan and judges each one."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.faults import make, switch
from tests.chaos.plan import ENDS_REPLIES, Phase, Plan
from tests.chaos.readers import Client, Heard
from tests.chaos.records import Row
from tests.chaos.town import Town, running_town
from tests.chaos.verdicts import Tally, judged
from tests.live.looking import look_again

SETTLE_S = 30.0
"""Seconds after the last fault within which all rows must have an end."""


@dataclass(frozen=True, slots=True)
class Result:
    phase: Phase
    tally: Tally

    @property
    def failures(self) -> list[str]:
        """One line for each broken promise."""
        early = self.tally.honest.total()
        if self.phase.fault in ENDS_REPLIES or not early:
            return self.tally.wrong
        return [*self.tally.wrong, f"{early} replies ended early: {dict(self.tally.honest)}"]


async def campaign(plan: Plan, folder: Path, report: Callable[[Result], None]) -> list[Result]:
    """Run all phases against one town, and report each result."""
    results: list[Result] = []
    async with running_town(plan, folder) as town:
        for number, phase in enumerate(plan.phases):
            result = Result(phase, await _phase(plan, number, phase, town))
            results.append(result)
            report(result)
    return results


def errors_said(folder: Path) -> list[str]:
    """Return the lines of the gateways' logs that no fault excuses."""
    return [
        f"{log.name}: {line}"
        for log in sorted(folder.glob("gateway-*.log"))
        for line in log.read_text(errors="replace").splitlines()
        if "Traceback" in line or "unexpected error" in line
    ]


async def _phase(plan: Plan, number: int, phase: Phase, town: Town) -> Tally:
    await switch(town, phase.mode)
    chance = random.Random(f"{plan.seed}-{number}")
    clients = [Client(town, f"{plan.seed}-{number}-{each}", plan.words) for each in range(phase.streams)]
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run(enough))
        await asyncio.sleep(plan.pause_s[1])
        for _ in range(phase.times):
            await make(phase.fault, town, chance)
            await asyncio.sleep(chance.uniform(*plan.pause_s))
        enough.set()
    heard = [reply for client in clients for reply in client.heard]
    return judged(heard, await _settled_rows(town, heard))


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
