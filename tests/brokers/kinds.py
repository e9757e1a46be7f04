"""The brokers that are tried here, each started once for a test."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from gateway.contract.record import replace
from tests.brokers.aedes import Aedes
from tests.brokers.ejabberd import Ejabberd
from tests.brokers.erlang import Erlang
from tests.brokers.rabbitmq import RabbitMQ
from tests.brokers.running_broker import RunningBroker
from transports.mqtt.link.link import BrokerAddress


@asynccontextmanager
async def ejabberd(folder: Path) -> AsyncIterator[RunningBroker]:
    async with Erlang(folder).running() as erlang, Ejabberd(folder / "ejabberd", erlang).running() as broker:
        # It refuses a client without a username, even if nobody needs a password.
        broker.address = replace(broker.address, username="anybody", password="anything")
        yield broker


@asynccontextmanager
async def rabbitmq(folder: Path) -> AsyncIterator[RunningBroker]:
    async with Erlang(folder).running() as erlang, RabbitMQ(folder / "rabbitmq", erlang).running() as broker:
        yield broker


@asynccontextmanager
async def aedes(folder: Path) -> AsyncIterator[RunningBroker]:
    async with Aedes(folder / "aedes").running() as broker:
        yield broker


KINDS: Mapping[str, Callable[[Path], AbstractAsyncContextManager[RunningBroker]]] = {
    "ejabberd-5": ejabberd,
    "ejabberd-3.1.1": ejabberd,
    "rabbitmq-3.1.1": rabbitmq,
    "aedes-3.1.1": aedes,
}
"""With the MQTT version that is spoken."""


def address_of(broker: RunningBroker, kind: str) -> BrokerAddress:
    return replace(broker.address, protocol="5" if kind.endswith("-5") else "3.1.1")
