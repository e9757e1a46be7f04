"""Everything that a campaign runs: database, model servers, broker, workers and gateways, all real."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.chaos.links import BROKER, DATABASE, MODELS, WORKERS, Namespace, service_addresses
from tests.chaos.plan import Plan
from tests.chaos.processes import Restartable
from tests.chaos.records import PostgresRecords, Records, SqliteRecords
from tests.live.brokers import free_port
from tests.live.programs import running_program, sluice
from tests.store.migrated import migrated
from tests.store.postgres import SHARED, PostgresServer, postgres_server
from transports.llama.embedded_server import tiny_model_path
from transports.llama.openmp import openmp_environment
from transports.mqtt.embedded_broker import mosquitto_binary

SLOTS = 48


class Gateway:
    """One gateway: its process, its URL, and its namespace if links are cut."""

    def __init__(self, process: Restartable, url: str, namespace: Namespace | None) -> None:
        self.process = process
        self.url = url
        self.namespace = namespace


class Town:
    """The running parts.

    Attributes:
        postgres: None with SQLite.
        models: the model servers of the gateways; the workers have others.
        headers: of every request: a key of the campaign's user, who is an administrator too.
        records: reads the database directly.
    """

    def __init__(self) -> None:
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


@asynccontextmanager
async def running_town(plan: Plan, folder: Path) -> AsyncIterator[Town]:
    """Start all parts. Their logs are in `folder`."""
    town = Town()
    async with AsyncExitStack() as stack:
        if plan.namespaces:
            stack.enter_context(service_addresses())
        where = _Addresses(plan.namespaces)
        database_url = _database(town, stack, folder, plan, where)
        # A refusal is then no frame of the stream.
        town.headers = {"authorization": f"Bearer {await _key(database_url)}", "accept": "application/json"}
        environment = stack.enter_context(openmp_environment())

        async def started(process: Restartable) -> Restartable:
            stack.push_async_callback(process.kill)
            await process.start()
            return process

        def model_server(name: str, address: str) -> tuple[Restartable, str]:
            port = free_port()
            program = [sys.executable, "-m", "transports.llama.server_program", str(tiny_model_path())]
            arguments = [str(port), "--host", address, "--parallel", str(SLOTS), "--with-parent"]
            arguments += ["--ctx-per-slot", "4096"]
            log = folder / f"{name}.log"
            command = ["nice", *program, *arguments]
            return Restartable(log, command, "READY", **environment), f"http://{address}:{port}"

        model, model_url = model_server("model", where.models)
        town.models.append(await started(model))
        workers_model, workers_url = model_server("workers-model", where.workers)
        await started(workers_model)
        town.broker, broker = _mosquitto(folder, where)
        await started(town.broker)
        for number in (1, 2):
            command = sluice("worker", "--name", f"w{number}", "--llm-url", workers_url, "--broker", broker)
            worker = Restartable(folder / f"worker-{number}.log", command, "serves")
            town.workers.append(await started(worker))
        for number in range(1, plan.gateways + 1):
            namespace = stack.enter_context(Namespace(number).made()) if plan.namespaces else None
            gateway = _gateway(folder, number, namespace, database_url, model_url, broker)
            town.gateways.append(gateway)
            await started(gateway.process)
        yield town


class _Addresses:
    """The services' addresses: those that a namespace can be cut off from, or loopback."""

    def __init__(self, namespaces: bool) -> None:
        self.database, self.models, self.broker, self.workers = (
            (DATABASE, MODELS, BROKER, WORKERS) if namespaces else ("127.0.0.1",) * 4
        )


def _database(town: Town, stack: AsyncExitStack, folder: Path, plan: Plan, where: _Addresses) -> str:
    if plan.gateways == 1:
        file = folder / "chaos.db"
        town.records = SqliteRecords(file)
        return migrated(file)
    server = stack.enter_context(postgres_server())
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text(f"{rules.read_text()}\nhost all all 10.231.0.0/16 trust\n")
    town.postgres = server
    address = where.database if plan.namespaces else ""
    town.postgres_settings = (f"listen_addresses={address}", "max_connections=200")
    server.start(*town.postgres_settings)
    town.records = PostgresRecords(server)
    url = server.emptied()
    return f"postgresql+asyncpg://sluice@{address}/{SHARED}" if plan.namespaces else url


async def _key(database_url: str) -> str:
    command = sluice("keys", "create", "--user", "chaos", "--scopes", "chat,admin", "--rate", "1000000")
    async with running_program(*command, "--streams", "100000", DATABASE_URL=database_url) as program:
        return (await program.until_said(r"sk-\S+"))[0]


def _mosquitto(folder: Path, where: _Addresses) -> tuple[Restartable, str]:
    binary = mosquitto_binary()
    assert binary is not None, "the campaign needs mosquitto"
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"user root\nlistener {port} {where.broker}\nallow_anonymous true\npersistence false\n"
        "set_tcp_nodelay true\nlog_dest stderr\nlog_type error\nlog_type information\n"
    )
    return Restartable(
        folder / "broker.log", [binary, "-c", str(config)], " running"
    ), f"{where.broker}:{port}"


def _gateway(
    folder: Path, number: int, namespace: Namespace | None, database_url: str, model_url: str, broker: str
) -> Gateway:
    host, _, broker_port = broker.partition(":")
    port = free_port()
    address = "127.0.0.1" if namespace is None else namespace.address
    command = sluice("serve")
    process = Restartable(
        folder / f"gateway-{number}.log",
        command if namespace is None else namespace.command(command),
        "listening on",
        HOST=address,
        PORT=str(port),
        INTERNAL_URL=f"http://{address}:{port}",
        DATABASE_URL=database_url,
        GATEWAY_NAME=f"gateway-{number}",
        LLM_SERVER_URL=model_url,
        MQTT_BROKER_HOST=host,
        MQTT_BROKER_PORT=broker_port,
        LLM_COMM_MODE="sse",
        DRAIN_S="2",
    )
    return Gateway(process, f"http://{address}:{port}", namespace)
