"""The protocol's vectors on brokers that scale: make live."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.brokers.kinds import KINDS, address_of
from tests.brokers.running_broker import requires_brokers
from tests.protocol.test_vectors import play_all
from tests.protocol.vectors import read_vectors
from transports.mqtt.link.link import BrokerAddress

pytestmark = [pytest.mark.live, requires_brokers()]

LACKS: Mapping[str, frozenset[str]] = {
    # No retained message reaches a subscription with a wildcard. The roll call makes up for it.
    "rabbitmq-3.1.1": frozenset({"RetainedReady_IsBelieved", "RetainedReply_IsIgnored"}),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_vector_holds(kind: str, tmp_path: Path) -> None:
    version = kind.rpartition("-")[2]
    vectors = [vector for vector in read_vectors("gateway", "worker") if version in vector.mqtt]
    possible = [vector for vector in vectors if vector.name not in LACKS.get(kind, ())]
    async with KINDS[kind](tmp_path) as broker:

        @asynccontextmanager
        async def broker_of(_: str) -> AsyncIterator[BrokerAddress]:
            yield address_of(broker, kind)

        assert await play_all([(kind, vector) for vector in possible], broker_of) == {}
