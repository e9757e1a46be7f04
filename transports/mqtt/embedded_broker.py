"""A broker for the demo and tests: mosquitto as a child process if installed, else amqtt in this process."""

import asyncio
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.contract.record import replace
from transports.mqtt.amqtt_broker import amqtt_broker
from transports.mqtt.link.link import BrokerAddress

BrokerKind = Literal["mosquitto", "amqtt"]

START_S = 5.0
STOP_S = 2.0

# The shipped mosquitto.conf has the reasons.
_SETTINGS = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_inflight_messages 200
max_queued_messages 20000
log_dest stderr
log_type error
log_type information
"""


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    kind: BrokerKind
    address: BrokerAddress


def mosquitto_binary() -> str | None:
    """Return the path of the mosquitto broker; Debian installs it where only root's PATH leads."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def broker_available() -> bool:
    """True if mosquitto is installed, or amqtt, as by the extra `demo`."""
    return mosquitto_binary() is not None or importlib.util.find_spec("amqtt") is not None


@asynccontextmanager
async def embedded_broker(port: int = 0, force: BrokerKind | None = None) -> AsyncIterator[EmbeddedBroker]:
    """Run a broker on loopback without authentication until the block ends; port 0 takes a free one.

    force: use only this kind. Raises RuntimeError if no broker is installed, or it does not start.
    """
    binary = mosquitto_binary()
    address = BrokerAddress("127.0.0.1", port or _free_port())
    if force == "mosquitto" and binary is None:
        raise RuntimeError("mosquitto is not installed")
    if binary is not None and force != "amqtt":
        async with _mosquitto(binary, address):
            yield EmbeddedBroker("mosquitto", address)
    else:
        async with amqtt_broker(address):
            yield EmbeddedBroker("amqtt", replace(address, protocol="3.1.1"))


@asynccontextmanager
async def _mosquitto(binary: str, address: BrokerAddress) -> AsyncIterator[None]:
    with tempfile.TemporaryDirectory(prefix="sluice-mosquitto-") as folder:
        child = await _start(binary, address, Path(folder))
        try:
            await _until_listening(child, Path(folder, "log"))
            yield
        finally:
            with suppress(ProcessLookupError):
                child.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()


async def _start(binary: str, address: BrokerAddress, folder: Path) -> Process:
    settings = _SETTINGS.format(port=address.port)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        settings += "user root\n"  # otherwise it changes to a user that cannot read its config
    config = folder / "mosquitto.conf"
    config.write_text(settings)
    with (folder / "log").open("wb") as said:
        return await asyncio.create_subprocess_exec(
            binary, "-c", str(config), stdin=DEVNULL, stdout=said, stderr=said, preexec_fn=_die_with_parent()
        )


async def _until_listening(child: Process, said: Path) -> None:
    """Wait until the broker logs that it runs. A connection is no proof: it may be another program's port."""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while child.returncode is None:
                if b" running\n" in await asyncio.to_thread(said.read_bytes):
                    return
                await asyncio.sleep(0.01)
    if child.returncode is not None:
        reason = await asyncio.to_thread(said.read_text, errors="replace")
        raise RuntimeError(f"mosquitto does not start: {reason[-500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> Callable[[], None] | None:
    """Make Linux kill the child when this process ends, even by kill -9. Other systems have no such call."""
    if not sys.platform.startswith("linux"):
        return None
    # Loaded before the fork, because the child may do very little before exec.
    prctl = ctypes.CDLL(None).prctl
    set_death_signal, parent = 1, os.getpid()

    def ask_for_death_signal() -> None:
        prctl(set_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask_for_death_signal
