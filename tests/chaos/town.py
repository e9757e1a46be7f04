"""Everything that a campaign runs: database, model servers, broker, workers and gateways, all real."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

from tests.chaos.links import Block, Namespace, block_of_addresses
from tests.chaos.model_program import read_notes
from tests.chaos.plan import Plan
from tests.chaos.processes import ForkedGateway, NestedGateway, Restartable
from tests.chaos.records import PostgresRecords, Records, SqliteRecords
from tests.live.addresses import claim_addresses
from tests.live.brokers import free_port
from tests.live.nursery import forked_sluice
from tests.live.programs import ROOT, sluice
from tests.store.migrated import migrated
from tests.store.postgres import SHARED, PostgresServer, postgres_server
from transports.llama.embedded_server import tiny_model_path
from transports.mqtt.embedded_broker import mosquitto_binary

SLOTS = 48


class Gateway:
    """One gateway: its process, its URL, its namespace if links are cut, and the services' addresses."""

    def __init__(
        self, process: Restartable, url: str, namespace: Namespace | None, services: Mapping[str, str]
    ) -> None:
        self.process = process
        self.url = url
        self.namespace = namespace
        self.services = services


class Town:
    """The running parts.

    Attributes:
        postgres: None with SQLite.
        models: the model servers of the gateways; the workers have others.
        headers: of every request: a key of the campaign's user, who is an administrator too.
        records: reads the database directly.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.postgres: PostgresServer | None = None
        self.postgres_settings: tuple[str, ...] = ()
        self.gateways: list[Gateway] = []
        self.models: list[Restartable] = []
        self.workers: list[Restartable] = []
        self.headers: dict[str, str] = {}
        self.broker: Restartable
        self.records: Records

    @property
    def urls(self) -> list[str]:
        return [gateway.url for gateway in self.gateways]

    def generations(self) -> list[str]:
        """Return a note of each reply that a model server was asked for; see model_program."""
        return read_notes(self._folder.glob("*.notes"))


@asynccontextmanager
async def running_town(plan: Plan, folder: Path) -> AsyncIterator[Town]:
    """Start all parts. Their logs are in `folder`."""
    town = Town(folder)
    async with AsyncExitStack() as stack:
        claims = stack.enter_context(ExitStack())
        block = _block(stack) if plan.cuts else None
        where = {"database": "", "models": "127.0.0.1", "broker": "127.0.0.1", "workers": "127.0.0.1"}
        if block is not None:
            where = block.services
        database_url = _database(town, stack, folder, plan, where["database"])
        # A refusal is then no frame of the stream.
        town.headers = {"authorization": f"Bearer {await _key(database_url)}", "accept": "application/json"}

        async def started(process: Restartable) -> Restartable:
            stack.push_async_callback(process.end)
            await process.start()
            return process

        model, model_url = _model_server(folder, "model", where["models"])
        town.models.append(await started(model))
        broker = "127.0.0.1:1"
        if plan.has_workers:
            workers_model, workers_url = _model_server(folder, "workers-model", where["workers"])
            await started(workers_model)
            town.broker, broker = _mosquitto(folder, where["broker"])
            await started(town.broker)
            for number in (1, 2):
                command = sluice(
                    "worker", "--name", f"w{number}", "--llm-url", workers_url, "--broker", broker
                )
                worker = Restartable(folder / f"worker-{number}.log", command, "serves")
                town.workers.append(await started(worker))
        for number, namespace in enumerate(_namespaces(stack, claims, block, plan.gateways), 1):
            process, url = _gateway(folder, number, namespace, database_url, model_url, broker)
            town.gateways.append(Gateway(process, url, namespace, where))
        async with asyncio.TaskGroup() as starts:
            for gateway in town.gateways:
                starts.create_task(started(gateway.process))
        yield town


def _block(stack: AsyncExitStack) -> Block:
    with claim_addresses():
        return stack.enter_context(block_of_addresses())


def _namespaces(
    stack: AsyncExitStack, claims: ExitStack, block: Block | None, count: int
) -> Sequence[Namespace | None]:
    """claims: keeps the claim of the end, until all namespaces and addresses are gone."""
    if block is None:
        return [None] * count
    with claim_addresses():
        made = [stack.enter_context(block.namespace(number)) for number in range(1, count + 1)]
    stack.callback(lambda: claims.enter_context(claim_addresses()))
    return made


def _model_server(folder: Path, name: str, address: str) -> tuple[Restartable, str]:
    port, notes = free_port(), folder / f"{name}.notes"
    program = [sys.executable, "-m", "tests.chaos.model_program", str(tiny_model_path())]
    command = ["nice", *program, address, str(port), str(SLOTS), str(notes)]
    return Restartable(folder / f"{name}.log", command, "READY"), f"http://{address}:{port}"


def _database(town: Town, stack: AsyncExitStack, folder: Path, plan: Plan, address: str) -> str:
    """address: empty for a Unix socket."""
    if plan.gateways == 1:
        file = folder / "chaos.db"
        town.records = SqliteRecords(file)
        return migrated(file)
    server = stack.enter_context(postgres_server())
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"{rules.read_text()}\nhost all all 10.231.0.0/16 trust\n")
    town.postgres = server
    town.postgres_settings = (f"listen_addresses={address}", "max_connections=200")
    server.start(*town.postgres_settings)
    town.records = PostgresRecords(server)
    url = server.emptied()
    return f"postgresql+asyncpg://sluice@{address}/{SHARED}" if address else url


async def _key(database_url: str) -> str:
    command = ("keys", "create", "--user", "chaos", "--scopes", "chat,admin", "--rate", "1000000")
    async with forked_sluice(*command, "--streams", "100000", DATABASE_URL=database_url) as program:
        return (await program.until_said(r"sk-\S+"))[0]


def _mosquitto(folder: Path, address: str) -> tuple[Restartable, str]:
    binary = mosquitto_binary()
    assert binary is not None, "the campaign needs mosquitto"
    port = free_port()
    config = folder / "mosquitto.conf"
    limits = re.findall(r"^max_.*\n", (ROOT / "mosquitto.conf").read_text(), re.MULTILINE)
    assert limits, "those of the shipped file: with Mosquitto's own ones it drops frames in a crowd"
    config.write_text(
        f"user root\nlistener {port} {address}\nallow_anonymous true\npersistence false\n{''.join(limits)}"
        "set_tcp_nodelay true\nlog_dest stderr\nlog_type error\nlog_type information\n"
    )
    process = Restartable(folder / "broker.log", [binary, "-c", str(config)], " running")
    return process, f"{address}:{port}"


def _gateway(
    folder: Path, number: int, namespace: Namespace | None, database_url: str, model_url: str, broker: str
) -> tuple[Restartable, str]:
    host, _, broker_port = broker.partition(":")
    port = free_port()
    address = "127.0.0.1" if namespace is None else namespace.address
    log = folder / f"gateway-{number}.log"
    settings = {
        "HOST": address,
        "PORT": str(port),
        "INTERNAL_URL": f"http://{address}:{port}",
        "DATABASE_URL": database_url,
        "GATEWAY_NAME": f"gateway-{number}",
        "LLM_SERVER_URL": model_url,
        "MQTT_BROKER_HOST": host,
        "MQTT_BROKER_PORT": broker_port,
        "LLM_COMM_MODE": "sse",
        "DRAIN_S": "2",
        "REPLY_DEADLINE_S": "3600",
    }
    process = (
        ForkedGateway(log, **settings)
        if namespace is None
        else NestedGateway(log, namespace.command, **settings)
    )
    return process, f"http://{address}:{port}"
