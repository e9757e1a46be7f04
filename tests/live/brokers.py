"""Real brokers for live tests; a missing one skips with its reason, or fails where it was asked for."""

import asyncio
import os
import random
import re
import signal
import socket
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle

import pytest

from transports.mqtt.embedded_broker import mosquitto_binary
from transports.mqtt.link.link import BrokerAddress

MISSING = "needs the mosquitto broker: install the package `mosquitto`"
OPEN_SETTINGS = "allow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
SAYS_WHEN_IT_RUNS = "\nlog_dest stderr\nlog_type error\nlog_type information\n"
LOG_BYTES = 16 * 1024 * 1024
"""Kept of what a broker logs and nobody reads, so that it never waits for a reader."""


def requires_mosquitto() -> pytest.MarkDecorator:
    """Mark a live test: without mosquitto it is skipped, or fails where REQUIRE_LIVE=1."""
    missing = mosquitto_binary() is None and os.environ.get("REQUIRE_LIVE") != "1"
    return pytest.mark.skipif(missing, reason=MISSING)


def _binary() -> str:
    """Where mosquitto is; skips or fails as `requires_mosquitto` does, for those who cannot carry a mark."""
    binary = mosquitto_binary()
    if binary is not None:
        return binary
    if os.environ.get("REQUIRE_LIVE") == "1":
        pytest.fail(f"REQUIRE_LIVE=1, but this {MISSING}")
    pytest.skip(MISSING)


def _own_ports() -> Iterator[int]:
    """The ports of this one of xdist's workers, each once before one comes again, from a random one on.

    The system gives none of these to connections and to port 0: no program takes it before its server.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first, many = 10_000 + worker % 16 * 1_400, 1_400
    start = random.SystemRandom().randrange(many)
    return cycle(first + (start + step) % many for step in range(many))


_PORTS = _own_ports()


def free_port() -> int:
    """A port of loopback on which nobody listens, and which no other test gets meanwhile."""
    while True:
        port = next(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Mosquitto:
    """One mosquitto on one port of loopback, to be killed and started again.

    settings: a listener in it becomes ours, in its place, since what follows is the listener's own.
    """

    def __init__(self, settings: str = OPEN_SETTINGS) -> None:
        self.address = BrokerAddress("127.0.0.1", free_port())
        self._settings = settings
        self._process: Process | None = None

    async def start(self) -> None:
        """Return when it takes connections."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
            config.write(f"user root\n{self._settings_on_our_port()}{SAYS_WHEN_IT_RUNS}")
            config.flush()
            self._process = await asyncio.create_subprocess_exec(
                _binary(), "-c", config.name, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, limit=LOG_BYTES
            )
            log = self._process.stderr
            assert log is not None
            said = b""
            async with asyncio.timeout(120):
                while not said.endswith(b" running\n"):
                    line = await log.readline()
                    said += line
                    assert line, f"mosquitto did not start: {said.decode()}"

    def _settings_on_our_port(self) -> str:
        listener = f"listener {self.address.port} 127.0.0.1"
        settings, has_one = re.subn(r"(?m)^listener .*$", listener, self._settings)
        return settings if has_one else f"{listener}\n{settings}"

    def freeze(self) -> None:
        """It keeps its connections and answers nothing more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it froze."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def reload(self) -> None:
        """Have it read its password and ACL files again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    async def kill(self) -> None:
        """As by a crash: no client is told, nothing is kept."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.communicate()


@asynccontextmanager
async def running_mosquitto(settings: str = OPEN_SETTINGS) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(settings)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.kill()
