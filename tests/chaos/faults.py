"""Makes each kind of fault once."""

import asyncio
import random
import signal
from collections.abc import Iterable

import httpx

from tests.chaos.plan import Fault
from tests.chaos.processes import Restartable
from tests.chaos.town import Gateway, Town
from tests.live.looking import look_again

AWAY_S = 10.0


async def make(fault: Fault, town: Town, chance: random.Random) -> int:
    """Break it, wait as the fault says, and mend it. Return the number of processes that were killed."""
    gateway = chance.choice(town.gateways)
    match fault:
        case "gateway killed, started again":
            return await _kill([gateway.process], chance)
        case "gateway killed, started after 10 s":
            return await _kill([gateway.process], chance, away_s=AWAY_S)
        case "several gateways killed at once":
            count = chance.randint(2, len(town.gateways))
            return await _kill([each.process for each in chance.sample(town.gateways, count)], chance)
        case "gateway frozen":
            await _freeze(gateway.process, chance)
        case "gateways stopped and started in turn":
            for each in town.gateways:
                await each.process.stop()
                await each.process.start()
        case "gateway cut off from the database":
            await _cut(gateway, ["database"], chance.uniform(1, AWAY_S))
        case "gateway cut off from the model server":
            await _cut(gateway, ["models"], chance.uniform(0.2, 2))
        case "gateway cut off from the broker":
            await _cut(gateway, ["broker"], chance.uniform(0.2, 2))
        case "gateway cut off from everything":
            await _cut(gateway, ["database", "models", "broker"], chance.uniform(1, AWAY_S))
        case "PostgreSQL restarted":
            await _restart_postgres(town, chance, away_s=chance.uniform(0, 3))
        case "PostgreSQL away for 10 s":
            await _restart_postgres(town, chance, away_s=AWAY_S)
        case "broker killed, started again":
            return await _kill([town.broker], chance)
        case "broker frozen":
            await _freeze(town.broker, chance, most_s=2)
        case "worker killed, started again":
            return await _kill([chance.choice(town.workers)], chance)
        case "worker frozen":
            await _freeze(chance.choice(town.workers), chance)
        case "model server killed, started again":
            return await _kill(town.models, chance)
    return 0


async def _kill(processes: Iterable[Restartable], chance: random.Random, away_s: float = 0.0) -> int:
    """Kill them at once and start them again. One in five is killed once more while it starts."""
    again = {process: chance.random() < 0.2 for process in processes}
    for process in again:
        await process.kill()
    await asyncio.sleep(away_s)
    async with asyncio.TaskGroup() as group:
        for process, twice in again.items():
            group.create_task(_start(process, chance.uniform(0, 1) if twice else None))
    return len(again) + sum(again.values())


async def _start(process: Restartable, kill_after_s: float | None) -> None:
    if kill_after_s is not None:
        await process.launch()
        await asyncio.sleep(kill_after_s)
        await process.kill()
    await process.start()


async def _freeze(process: Restartable, chance: random.Random, most_s: float = AWAY_S) -> None:
    process.signal(signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(min(1, most_s), most_s))
    process.signal(signal.SIGCONT)


async def _restart_postgres(town: Town, chance: random.Random, away_s: float) -> None:
    postgres = town.postgres
    assert postgres is not None
    postgres.signal(chance.choice([signal.SIGINT, signal.SIGQUIT]))
    await asyncio.to_thread(postgres.await_end)
    await asyncio.sleep(away_s)
    postgres.launch(*town.postgres_settings)
    await asyncio.to_thread(postgres.await_ready)


async def _cut(gateway: Gateway, services: list[str], seconds: float) -> None:
    assert gateway.namespace is not None
    addresses = [gateway.services[service] for service in services]
    for address in addresses:
        gateway.namespace.cut(address)
    await asyncio.sleep(seconds)
    for address in addresses:
        gateway.namespace.mend(address)


async def switch(town: Town, mode: str) -> None:
    """Set the mode of all gateways."""
    async with httpx.AsyncClient(trust_env=False, headers=town.headers, timeout=60) as client:
        answer = await client.put(
            f"{town.urls[0]}/api/admin/mode", json={"mode": mode}, params={"force": "true"}
        )
        assert answer.status_code == 200, answer.text
        for url in town.urls:
            async with asyncio.timeout(60):
                while (await client.get(f"{url}/api/admin/mode")).json()["mode"] != mode:
                    await look_again()
