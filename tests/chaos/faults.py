"""Makes each kind of fault once."""

import asyncio
import random
import signal

import httpx

from tests.chaos.links import BROKER, DATABASE, MODELS
from tests.chaos.plan import Fault
from tests.chaos.town import Gateway, Town
from tests.live.looking import look_again


async def make(fault: Fault, town: Town, chance: random.Random) -> None:
    """Break it, wait as the fault says, and mend it."""
    gateway = chance.choice(town.gateways)
    match fault:
        case "gateway killed, started again":
            await gateway.process.kill()
            await gateway.process.start()
        case "gateway killed, started after 10 s":
            await gateway.process.kill()
            await asyncio.sleep(10)
            await gateway.process.start()
        case "gateway frozen":
            gateway.process.signal(signal.SIGSTOP)
            await asyncio.sleep(chance.uniform(1, 10))
            gateway.process.signal(signal.SIGCONT)
        case "gateways stopped and started in turn":
            for each in town.gateways:
                await each.process.stop()
                await each.process.start()
        case "gateway cut off from the database":
            await _cut(gateway, [DATABASE], chance.uniform(1, 10))
        case "gateway cut off from the model server":
            await _cut(gateway, [MODELS], chance.uniform(0.2, 2))
        case "gateway cut off from everything":
            await _cut(gateway, [DATABASE, MODELS, BROKER], chance.uniform(1, 10))
        case "PostgreSQL restarted":
            postgres = town.postgres
            assert postgres is not None
            postgres.signal(chance.choice([signal.SIGINT, signal.SIGQUIT]))
            await asyncio.to_thread(postgres.await_end)
            await asyncio.sleep(chance.uniform(0, 3))
            postgres.launch(*town.postgres_settings)
            await asyncio.to_thread(postgres.await_ready)
        case "broker killed, started again":
            await town.broker.kill()
            await town.broker.start()
        case "worker killed, started again":
            worker = chance.choice(town.workers)
            await worker.kill()
            await worker.start()
        case "model server killed, started again":
            (model,) = town.models
            await model.kill()
            await model.start()


async def _cut(gateway: Gateway, services: list[str], seconds: float) -> None:
    assert gateway.namespace is not None
    for service in services:
        gateway.namespace.cut(service)
    await asyncio.sleep(seconds)
    for service in services:
        gateway.namespace.mend(service)


async def switch(town: Town, mode: str) -> None:
    """Set the mode of all gateways."""
    async with httpx.AsyncClient(trust_env=False, headers=town.headers) as client:
        answer = await client.put(
            f"{town.urls[0]}/api/admin/mode", json={"mode": mode}, params={"force": "true"}
        )
        assert answer.status_code == 200, answer.text
        for url in town.urls:
            async with asyncio.timeout(30):
                while (await client.get(f"{url}/api/admin/mode")).json()["mode"] != mode:
                    await look_again()
