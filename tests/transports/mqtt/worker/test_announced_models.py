"""The models that a worker announces: gateways refuse a status with too many, or with an empty name."""

import pytest

from tests.transports.mqtt.worker.test_worker import Scene
from transports.mqtt.protocol.frames import MAX_MODELS


async def test_only_models_that_gateways_take_are_announced(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"m{number}" for number in range(MAX_MODELS + 1)]
    async with Scene().running() as scene:
        scene.worker.offer(["", "x" * 257, *names], 2)
        told = await scene.told.get()
        scene.worker.offer(["", *names], 1)
        await scene.told.get()
    assert told.models == names[:MAX_MODELS]
    assert [record.message for record in caplog.records] == [
        "3 of 259 models are not announced: gateways take 256, with names of 1 to 256 characters"
    ]
