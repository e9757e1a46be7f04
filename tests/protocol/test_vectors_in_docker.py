"""The vectors on the official Mosquitto image, played to our own gateway side and worker side."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from gateway.contract.record import replace
from tests.live.docker_engine import requires_docker
from tests.protocol.test_vectors import play_all
from tests.protocol.vectors import read_vectors
from transports.mqtt.link.link import BrokerAddress

pytestmark = pytest.mark.live

SETTINGS = r"listener 1883\nallow_anonymous true\nset_tcp_nodelay true\n"


@pytest.fixture(scope="module")
def official_mosquitto() -> Iterator[BrokerAddress]:
    requires_docker()
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    start = f"printf '{SETTINGS}' >/tmp/open.conf && exec mosquitto -c /tmp/open.conf"
    container = DockerContainer("eclipse-mosquitto:2").with_exposed_ports(1883)
    container.with_command(["sh", "-c", start])
    container.waiting_for(LogMessageWaitStrategy("running").with_startup_timeout(20))
    with container:
        yield BrokerAddress(container.get_container_host_ip(), int(container.get_exposed_port(1883)))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_every_vector_holds(version: Literal["5", "3.1.1"], official_mosquitto: BrokerAddress) -> None:
    @asynccontextmanager
    async def broker_of(kind: str) -> AsyncIterator[BrokerAddress]:
        yield replace(official_mosquitto, protocol=version)

    vectors = [vector for vector in read_vectors("gateway", "worker") if version in vector.mqtt]
    assert await play_all([(version, vector) for vector in vectors], broker_of) == {}
