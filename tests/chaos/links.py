"""A network namespace for each gateway, in which the way to a service can be cut. Needs root and iproute2.

A campaign has a block of addresses, 10.231.BLOCK.0/24, and a lock on it for as long as it lives: campaigns
can run beside each other, and the next owner of a block removes what a killed one has left in it.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from tests.live.addresses import claim_addresses

BLOCKS = 250
MAX_GATEWAYS = 50

_SERVICES = ("database", "models", "broker", "workers")
_NOWHERE = "02:00:00:00:00:99"
"""A hardware address that no device has: frames to it vanish."""


def can_cut() -> bool:
    """True if this process may make network namespaces and devices."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    try:
        with claim_addresses(), block_of_addresses() as block, block.namespace(1) as namespace:
            namespace.cut(block.database)
            namespace.mend(block.database)
    except OSError:
        return False
    return True


class Block:
    """Addresses and names of one campaign. The services' addresses are on the loopback device."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._namespaces: list[Namespace] = []
        self.services = {name: f"10.231.{number}.{last}" for last, name in enumerate(_SERVICES, 1)}
        self.database, self.models, self.broker, self.workers = self.services.values()

    @contextmanager
    def namespace(self, number: int) -> Iterator["Namespace"]:
        """The namespace of one gateway, from 1 to MAX_GATEWAYS, which reaches those that were made before."""
        with Namespace(self.number, number).made() as made:
            for other in self._namespaces:
                made.join(other)
            self._namespaces.append(made)
            yield made

    def clear(self) -> None:
        """Remove what a campaign that was killed has left."""
        for line in _ip("netns", "list").splitlines():
            name = line.partition(" ")[0]
            if name.startswith(_namespace_name(self.number, "")):
                for process in _ip("netns", "pids", name).split():
                    with suppress(ProcessLookupError):
                        os.kill(int(process), signal.SIGKILL)
                _ip("netns", "del", name)
        for device in json.loads(_ip("-json", "link", "show") or "[]"):
            if device["ifname"].startswith(_device_name(self.number, "")):
                with suppress(OSError):  # it went with its namespace
                    _ip("link", "del", device["ifname"])
        for device in json.loads(_ip("-json", "addr", "show", "dev", "lo") or "[]"):
            for address in device.get("addr_info", ()):
                if address["local"] in self.services.values():
                    _ip("addr", "del", f"{address['local']}/32", "dev", "lo")


@contextmanager
def block_of_addresses() -> Iterator[Block]:
    """A block that no other campaign has. Raises OSError."""
    with ExitStack() as stack:
        block = Block(_locked(stack))
        block.clear()
        for address in block.services.values():
            _ip("addr", "add", f"{address}/32", "dev", "lo")
            stack.callback(_ip, "addr", "del", f"{address}/32", "dev", "lo")
        yield block


def _locked(stack: ExitStack) -> int:
    for number in range(BLOCKS):
        file: IO[str] = (Path(tempfile.gettempdir()) / f"sluice-chaos-{number}.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        stack.callback(file.close)
        return number
    raise OSError("other campaigns have all blocks of addresses")


class Namespace:
    """A namespace whose gateway listens at `address`."""

    def __init__(self, block: int, number: int) -> None:
        assert 1 <= number <= MAX_GATEWAYS
        self.number = number
        self.name = _namespace_name(block, str(number))
        first = 4 * number + 4  # of a network of four addresses, behind those of the services
        self._ours, self.address = f"10.231.{block}.{first + 1}", f"10.231.{block}.{first + 2}"
        self._device = _device_name(block, str(number))

    @contextmanager
    def made(self) -> Iterator["Namespace"]:
        with ExitStack() as stack:
            _ip("netns", "add", self.name)
            stack.callback(_ip, "netns", "del", self.name)
            inside = f"{self._device}i"
            _ip("link", "add", self._device, "type", "veth", "peer", "name", inside, "netns", self.name)
            _ip("addr", "add", f"{self._ours}/30", "dev", self._device)
            _ip("link", "set", self._device, "up")
            self._in("addr", "add", f"{self.address}/30", "dev", inside)
            self._in("link", "add", "cut", "type", "veth", "peer", "name", "end")
            for device in (inside, "lo", "cut", "end"):
                self._in("link", "set", device, "up")
            self._in("route", "add", "default", "via", self._ours)
            # A packet from a service is dropped while the way back to it leads through another device.
            strict = "echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter"
            _run(*self.command(["sh", "-c", strict]))
            yield self

    def join(self, other: "Namespace") -> None:
        """Connect both directly: hosts with Docker forward no packets."""
        here, there = f"to{other.number}", f"to{self.number}"
        self._in("link", "add", here, "type", "veth", "peer", "name", there, "netns", other.name)
        for one, device, far in ((self, here, other), (other, there, self)):
            one._in("link", "set", device, "up")
            one._in("route", "add", f"{far.address}/32", "dev", device, "src", one.address)

    def command(self, command: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self.name, *command]

    def cut(self, service: str) -> None:
        """Lose all packets to a service and from it, without a word to either side."""
        self._in("neigh", "replace", service, "lladdr", _NOWHERE, "dev", "cut", "nud", "permanent")
        self._in("route", "add", f"{service}/32", "dev", "cut")

    def mend(self, service: str) -> None:
        self._in("route", "del", f"{service}/32", "dev", "cut")

    def _in(self, *arguments: str) -> None:
        _ip("-n", self.name, *arguments)


def _namespace_name(block: int, number: str) -> str:
    return f"sluice-chaos-{block}-{number}"


def _device_name(block: int, number: str) -> str:
    return f"slc{block}x{number}"


def _ip(*arguments: str) -> str:
    return _run("ip", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
