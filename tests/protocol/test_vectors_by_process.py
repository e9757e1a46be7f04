"""The vectors for gateways and devices, played to a gateway process that is asked over HTTP."""

import asyncio
import json
import re
import traceback
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.record import replace
from tests.live.brokers import requires_mosquitto
from tests.live.nursery import forked_sluice
from tests.once import once
from tests.protocol.brokers import VERSIONS, Brokers
from tests.protocol.http_gateway import HttpGateway
from tests.protocol.scene import play
from tests.protocol.test_vectors import Case, Failures, id_of
from tests.protocol.vectors import Vector, read_vectors

pytestmark = [pytest.mark.live, requires_mosquitto()]

ROOT = "sluice/v1"
CASES = [
    (broker, vector)
    for broker, version in VERSIONS.items()
    for vector in read_vectors(*(["gateway", "device"] if broker == "mosquitto-5" else ["device"]))
    if version in vector.mqtt and not vector.settings and not vector.before
    if set(vector.needs) <= HttpGateway.abilities
]


def with_names_of_its_own(vector: Vector, number: int) -> Vector:
    """The same with other names of workers and devices.

    The gateway remembers the workers of earlier cases, and may still send their devices frames.
    """

    def renamed(part: Any) -> Any:
        return json.loads(re.sub(r"\b([wd])-", rf"\g<1>{number}-", json.dumps(part)))

    return replace(vector, steps=renamed(vector.steps), subscribe=renamed(list(vector.subscribe)))


async def play_in_turn(kind: str, cases: list[Case], brokers: Brokers, folder: Path) -> Failures:
    """One gateway process for all: it must come through each of them unharmed."""
    failures: Failures = {}
    async with brokers.of(kind) as address:
        settings = {
            "LLM_COMM_MODE": "mqtt",
            "MQTT_BROKER_HOST": address.host,
            "MQTT_BROKER_PORT": str(address.port),
            "MQTT_PROTOCOL": address.protocol,
            "GATEWAY_NAME": "gateway",
            "PORT": "0",
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder / kind}.db",
        }
        async with forked_sluice("serve", cwd=None, **settings) as program:
            url = (await program.until_said(r"listening on (http://\S+)"))[1]
            for number, case in enumerate(cases):
                try:
                    async with asyncio.timeout(180):
                        vector = with_names_of_its_own(case[1], number)
                        await play(vector, HttpGateway("gateway", url), address, ROOT)
                except Exception:  # noqa: BLE001 - the case's own test fails with it
                    failures[id_of(case)] = traceback.format_exc()
            program.process.terminate()
            assert await program.ended() == 0, program.said
            assert "ERROR" not in program.said, program.said
    return failures


@pytest.fixture(scope="module")
async def failures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """Of all cases that were selected; the brokers side by side."""
    wanted = {item.name for item in request.session.items}
    selected = [case for case in CASES if f"test_vector_by_process[{id_of(case)}]" in wanted]
    folder = tmp_path_factory.mktemp("gateways")

    async def play_selected() -> Failures:
        async with Brokers(1).running() as brokers, asyncio.TaskGroup() as tasks:
            playing = [
                tasks.create_task(play_in_turn(kind, cases, brokers, folder))
                for kind in VERSIONS
                if (cases := [case for case in selected if case[0] == kind])
            ]
        return {case: failure for task in playing for case, failure in task.result().items()}

    return await once("vectors by process", tmp_path_factory, play_selected)


@pytest.mark.parametrize("case", CASES, ids=id_of)
async def test_vector_by_process(case: Case, failures: Failures) -> None:
    assert id_of(case) not in failures, failures[id_of(case)]
