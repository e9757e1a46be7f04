"""A network namespace for each gateway, in which the way to a service can be cut. Needs root and iproute2."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

DATABASE, MODELS, BROKER, WORKERS = "10.231.255.1", "10.231.255.2", "10.231.255.3", "10.231.255.4"
"""Addresses of the services, on the loopback device."""


def can_cut() -> bool:
    """True if this process may make network namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"sluice-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made.returncode == 0


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class Namespace:
    """The namespace of gateway number `n`, which listens at `address`."""

    def __init__(self, number: int) -> None:
        self.name = f"sluice-{os.getpid()}-{number}"
        self.address = f"10.231.{number}.2"
        self._ours = f"10.231.{number}.1"
        self._device = f"sl{os.getpid() % 100_000}x{number}"

    @contextmanager
    def made(self) -> Iterator["Namespace"]:
        with ExitStack() as stack:
            _ip("netns", "add", self.name)
            stack.callback(_ip, "netns", "del", self.name)
            inside = f"{self._device}i"
            _ip("link", "add", self._device, "type", "veth", "peer", "name", inside, "netns", self.name)
            _ip("addr", "add", f"{self._ours}/30", "dev", self._device)
            _ip("link", "set", self._device, "up")
            _ip("-n", self.name, "addr", "add", f"{self.address}/30", "dev", inside)
            _ip("-n", self.name, "link", "set", inside, "up")
            _ip("-n", self.name, "link", "set", "lo", "up")
            _ip("-n", self.name, "route", "add", "default", "via", self._ours)
            yield self

    def command(self, command: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self.name, *command]

    def cut(self, service: str) -> None:
        """Drop all packets to a service, without a word to either side."""
        _ip("-n", self.name, "route", "add", "blackhole", f"{service}/32")

    def mend(self, service: str) -> None:
        _ip("-n", self.name, "route", "del", "blackhole", f"{service}/32")


@contextmanager
def service_addresses() -> Iterator[None]:
    with ExitStack() as stack:
        for address in (DATABASE, MODELS, BROKER, WORKERS):
            _ip("addr", "add", f"{address}/32", "dev", "lo")
            stack.callback(_ip, "addr", "del", f"{address}/32", "dev", "lo")
        yield
