"""Hold a worker or a gateway that runs somewhere to the vectors: python -m tests.protocol.run --help."""

import asyncio
import os
import shlex
import signal
import sys
from argparse import ArgumentParser, Namespace
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from tests.protocol.http_gateway import HttpGateway
from tests.protocol.parties import NotPossible, Party
from tests.protocol.scene import play
from tests.protocol.vectors import read_vectors
from transports.mqtt.link.link import BrokerAddress


class ForeignWorker:
    """A worker of whatever make. command: starts it anew for each vector; without one it runs already."""

    def __init__(self, name: str, command: str, can: Sequence[str]) -> None:
        self.name = name
        self.abilities = frozenset([*can, *(["start", "terminate"] if command else [])])
        self._command = shlex.split(command)
        self._process: Process | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        if not self._command:
            yield
            return
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=DEVNULL, stdout=DEVNULL, start_new_session=True
        )
        try:
            yield
        finally:
            with suppress(ProcessLookupError):  # with its own children
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def terminate(self) -> None:
        assert self._process is not None
        self._process.terminate()

    def dropped(self) -> None:
        return None


def parser() -> ArgumentParser:
    arguments = ArgumentParser("tests.protocol.run", description="Play the protocol's vectors.")
    party = arguments.add_mutually_exclusive_group(required=True)
    party.add_argument("--worker", metavar="NAME", help="the worker under test: its name in topics")
    party.add_argument("--gateway", metavar="NAME", help="the gateway under test, in mode mqtt")
    arguments.add_argument("--http", metavar="URL", help="where the gateway is asked")
    arguments.add_argument("--broker", metavar="HOST:PORT", default="127.0.0.1:1883")
    arguments.add_argument("--username", help="of a client that may do everything")
    arguments.add_argument("--password")
    arguments.add_argument("--mqtt", choices=["5", "3.1.1"], default="5", help="what the counterpart speaks")
    arguments.add_argument("--root", default="sluice/v1")
    arguments.add_argument("--can", metavar="ABILITY", action="append", default=[], help="see README.md")
    arguments.add_argument("--start", metavar="COMMAND", default="", help="starts the worker for each vector")
    arguments.add_argument("names", metavar="VECTOR", nargs="*", help="these only")
    return arguments


async def run(options: Namespace) -> int:
    """How many vectors failed."""
    host, _, port = options.broker.partition(":")
    address = BrokerAddress(
        host, int(port or 1883), options.username, options.password, protocol=options.mqtt
    )
    failed = 0
    for vector in read_vectors(*(["worker"] if options.worker else ["gateway", "device"])):
        if options.names and vector.name not in options.names:
            continue
        try:
            async with asyncio.timeout(60):
                await play(vector, _party(options), address, options.root, slack_s=0)
        except NotPossible as reason:
            _tell("left out", vector.name, reason)
        except Exception as failure:  # noqa: BLE001  # told, and the next one is played
            failed += 1
            _tell("FAILED", vector.name, _first_cause(failure))
        else:
            _tell("ok", vector.name)
    return failed


def _party(options: Namespace) -> Party:
    if options.worker:
        return ForeignWorker(options.worker, options.start, options.can)
    return HttpGateway(options.gateway, options.http)


def _first_cause(failure: BaseException) -> str:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return str(failure) or type(failure).__name__


def _tell(verdict: str, name: str, reason: object = "") -> None:
    sys.stdout.write(f"{verdict:8}  {name}{f': {reason}' if reason else ''}\n")
    sys.stdout.flush()


def main() -> None:
    options = parser().parse_args()
    if options.gateway and not options.http:
        parser().error("--gateway needs --http")
    sys.exit(1 if asyncio.run(run(options)) else 0)


if __name__ == "__main__":
    main()
