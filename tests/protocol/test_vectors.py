"""Every vector, played to our own gateway side and worker side over real brokers."""

import asyncio
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from tests.live.brokers import requires_mosquitto
from tests.once import once
from tests.protocol.brokers import VERSIONS, Brokers
from tests.protocol.ours import OurGateway, OurWorker
from tests.protocol.scene import play
from tests.protocol.vectors import Vector, read_vectors
from transports.mqtt.link.link import BrokerAddress

pytestmark = [pytest.mark.live, requires_mosquitto()]

AT_ONCE = 8
CASES = [
    (broker, vector)
    for broker, version in VERSIONS.items()
    for vector in read_vectors("gateway", "worker")
    if version in vector.mqtt and not (broker == "amqtt-3.1.1" and "take_over" in vector.needs)
]
Case = tuple[str, Vector]
Failures = dict[str, str]
"""Of the cases that failed, by `id_of`: how."""

BrokerOf = Callable[[str], AbstractAsyncContextManager[BrokerAddress]]


async def play_to_ours(vector: Vector, address: BrokerAddress, number: int = 0) -> None:
    """number: sets the vector apart from others on the same broker."""
    root, name = f"tenant-{number}/sluice", f"party-{number}"
    if vector.role == "worker":
        await play(vector, OurWorker(address, name, root), address, root)
    else:
        await play(vector, OurGateway(address, name, root, vector), address, root)


async def play_all(cases: Sequence[Case], broker_of: BrokerOf) -> Failures:
    """Many at once: most of the time is waiting."""
    failures: Failures = {}
    free = asyncio.Semaphore(AT_ONCE)

    async def play_one(number: int, case: Case) -> None:
        kind, vector = case
        try:
            async with free, asyncio.timeout(180), broker_of(kind) as address:
                await play_to_ours(vector, address, number)
        except Exception:  # noqa: BLE001 - the case's own test fails with it
            failures[id_of(case)] = traceback.format_exc()

    async with asyncio.TaskGroup() as tasks:
        for number, case in enumerate(cases):
            tasks.create_task(play_one(number, case))
    return failures


@pytest.fixture(scope="module")
async def failures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """Of all cases that were selected, played together."""
    wanted = {item.name for item in request.session.items}
    selected = [case for case in CASES if f"test_vector[{id_of(case)}]" in wanted]

    async def play_selected() -> Failures:
        async with Brokers(AT_ONCE).running() as brokers:
            return await play_all(selected, brokers.of)

    return await once("vectors", tmp_path_factory, play_selected)


def id_of(case: Case) -> str:
    kind, vector = case
    return f"{kind}-{vector.role}-{vector.name}"


@pytest.mark.parametrize("case", CASES, ids=id_of)
async def test_vector(case: Case, failures: Failures) -> None:
    assert id_of(case) not in failures, failures[id_of(case)]
