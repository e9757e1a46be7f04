"""A short campaign: three gateways on PostgreSQL are killed, frozen and cut off under open streams."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.campaign import campaign, errors_said
from tests.chaos.links import can_cut
from tests.chaos.plan import Phase, Plan
from tests.live.llama_server import requires_llama
from tests.store.postgres import requires_postgres

pytestmark = [pytest.mark.live, requires_llama(), requires_postgres()]

STREAMS = 8


async def run(folder: Path, *phases: Phase) -> None:
    plan = Plan(seed=1, gateways=3, phases=phases, words=(20, 60))
    async with asyncio.timeout(900):
        results = await campaign(plan, folder, lambda _: None)
    assert [result.phase for result in results] == list(phases)
    for result in results:
        assert result.tally.wrong == []
        assert result.tally.complete > 0
    assert errors_said(folder) == []


async def test_killed_and_frozen_gateways_lose_and_double_nothing(tmp_path: Path) -> None:
    await run(
        tmp_path,
        Phase("gateway killed, started again", "sse", times=1, streams=STREAMS),
        Phase("several gateways killed at once", "sse", times=1, streams=STREAMS),
        Phase("gateway frozen", "sse", times=1, streams=STREAMS),
    )


async def test_a_gateway_that_is_cut_off_from_the_database_alone_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    if not can_cut():
        pytest.skip("needs root, iproute2 and the right to make network namespaces")
    await run(tmp_path, Phase("gateway cut off from the database", "sse", times=1, streams=STREAMS))
