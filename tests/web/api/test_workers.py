"""The list of workers, as clients see it."""

from pathlib import Path

from gateway.contract.transport import Abilities, WorkerInfo
from tests.web.gateway_server import served
from transports.scripted import ScriptedTransport, tokens

WORKER = WorkerInfo(
    name="w-17",
    state="ready",
    models=["tiny"],
    stream=True,
    max=8,
    busy=3,
    open=2,
    incarnation=42,
    heartbeat_s=None,
    last_heard_s=1.5,
    set_aside=False,
    full=True,
    disabled=False,
)


class WithWorkers(ScriptedTransport):
    @property
    def abilities(self) -> Abilities:
        return Abilities(workers=lambda: [WORKER])


async def test_workers_are_told_with_all_that_is_known_of_them(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), kind=WithWorkers) as gateway:
        listed = await gateway.http.get("/api/chatbot/workers")
        described = (await gateway.http.get("/openapi.json")).json()
    assert listed.json() == [
        {
            "name": "w-17",
            "state": "ready",
            "models": ["tiny"],
            "stream": True,
            "max": 8,
            "busy": 3,
            "open": 2,
            "incarnation": 42,
            "heartbeat_s": None,
            "last_heard_s": 1.5,
            "set_aside": False,
            "full": True,
            "disabled": False,
        }
    ]
    assert set(described["components"]["schemas"]["WorkerInfo"]["properties"]) == set(listed.json()[0])


async def test_without_mqtt_there_are_no_workers(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        assert (await gateway.http.get("/api/chatbot/workers")).json() == []
