"""aedes, a broker in JavaScript for MQTT 3.1.1; aedes/ has its lock file."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.brokers.running_broker import RunningBroker
from tests.live.node import install_packages

PACKAGES = Path(__file__).parent / "aedes"


class Aedes(RunningBroker):
    ready = "listening"

    def command(self) -> Sequence[str]:
        return "node", str(PACKAGES / "server.mjs"), str(self.address.port)

    def environment(self) -> Mapping[str, str]:
        return {}

    async def start(self) -> None:
        await asyncio.to_thread(install_packages, PACKAGES)
        await super().start()
