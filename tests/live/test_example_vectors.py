"""The example workers pass the protocol's test vectors."""

import asyncio
import json
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.contract.record import replace
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.protocol.run import ForeignWorker
from tests.protocol.scene import play
from tests.protocol.vectors import Vector, read_vectors
from transports.mqtt.link.link import BrokerAddress

pytestmark = [pytest.mark.live, requires_mosquitto()]

EXAMPLES = Path(__file__).parents[2] / "deploy/examples"
AT_ONCE = 6
BEYOND_A_SHELL = {  # it has no state, and reads only the fields that it uses
    "OwnLost_IsContradicted",
    "OwnStatusErased_IsSaidAgain",
    "RepeatedRequest_IsServedOnce",
    "RequestAfterItsCancel_IsNotServed",
    "WrongTypes_AreDropped",
}


def vectors(*abilities: str) -> list[Vector]:
    return [vector for vector in read_vectors("worker") if set(vector.needs) <= set(abilities)]


async def failures(played: list[Vector], start: Callable[[str, BrokerAddress], str]) -> list[str]:
    """Play the vectors, each with its own worker, and return the failures.

    Those that are played at the same time have brokers of their own: their gateways have the same names.

    start: returns the shell command that runs a worker of the given name at a broker.
    """
    failed: list[str] = []
    free: asyncio.Queue[BrokerAddress] = asyncio.Queue()

    async def one(number: int, vector: Vector) -> None:
        name, address = f"w-{number}", await free.get()
        try:
            worker = ForeignWorker(name, start(name, address), vector.needs)
            await play(vector, worker, replace(address, protocol="5"), "sluice/v1")
        except* Exception as failure:  # noqa: BLE001  # reported with the others
            failed.append(f"{vector.name}: {failure.exceptions!r}")
        free.put_nowait(address)

    async with AsyncExitStack() as stack:
        for _ in range(AT_ONCE):
            broker = await stack.enter_async_context(running_mosquitto())
            free.put_nowait(broker.address)
        async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
            for number, vector in enumerate(played):
                tasks.create_task(one(number, vector))
    return failed


async def test_the_worker_for_microcontrollers_keeps_the_protocol(tmp_path: Path) -> None:

    def start(name: str, broker: BrokerAddress) -> str:
        folder = tmp_path / name
        folder.mkdir()
        settings = {"name": name, "broker": broker.host, "port": broker.port}
        (folder / "sluice.json").write_text(json.dumps(settings))
        program = shlex.join([sys.executable, str(EXAMPLES / "micropython_worker.py")])
        return shlex.join(["sh", "-c", f"cd {shlex.quote(str(folder))} && exec {program}"])

    assert await failures(vectors("stream"), start) == []


async def test_the_smallest_worker_keeps_what_it_can_of_the_protocol() -> None:

    def start(name: str, broker: BrokerAddress) -> str:
        settings = [f"WORKER_NAME={name}", f"MQTT_BROKER_PORT={broker.port}"]
        return shlex.join(["env", *settings, "sh", str(EXAMPLES / "smallest_worker.sh")])

    played = [vector for vector in vectors() if vector.name not in BEYOND_A_SHELL]
    assert await failures(played, start) == []


OF_THE_TEST = '''def answer(question):
    """Do as the question says, like the model for tests."""
    verb, _, text = question.partition(" ")
    yield from text
    while verb == "hold":
        time.sleep(60)


class Reply'''


async def test_the_worker_that_keeps_replies_keeps_them(tmp_path: Path) -> None:
    source = (EXAMPLES / "keeping_worker.py").read_text()
    program = tmp_path / "worker.py"
    program.write_text(re.sub("def answer.*?class Reply", OF_THE_TEST, source, flags=re.DOTALL))
    able = vectors("keep", "stream", "hold", "echo", "two_slots")
    played = [vector for vector in able if 17 in vector.rules]
    assert len(played) > 15

    def start(name: str, broker: BrokerAddress) -> str:
        return shlex.join([sys.executable, str(program), name, f"127.0.0.1:{broker.port}"])

    assert await failures(played, start) == []
