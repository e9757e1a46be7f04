"""Erlang, on which ejabberd and RabbitMQ run: names of nodes on loopback, and calls into a node."""

import asyncio
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.live.brokers import free_port
from tests.live.programs import clean_environment, running_program

COOKIE = "of-a-test"
LOOPBACK = ("-kernel", "inet_dist_use_interface", "{127,0,0,1}")


class Erlang:
    """One epmd of its own, so that nodes of other programs on this machine are not met."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = free_port()
        cookie = home / ".erlang.cookie"
        cookie.write_text(COOKIE)
        cookie.chmod(0o400)

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "HOME": str(self._home),
            "ERL_EPMD_PORT": str(self._port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": "/dev/null",
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Erlang"]:
        epmd = shutil.which("epmd")
        assert epmd is not None
        command = (epmd, "-d", "-port", str(self._port), "-address", "127.0.0.1")
        async with running_program(*command) as program:
            await program.until_said("entering the main select|epmd running", by_line=False)
            yield self

    async def call(self, node: str, expression: str) -> str:
        """Evaluate an Erlang expression in a node, and return `{ok, VALUE}` as text."""
        process = await asyncio.create_subprocess_exec(
            *("erl_call", "-c", COOKIE, "-sname", node, "-e"),
            env=clean_environment(**self.environment),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
        )
        async with asyncio.timeout(120):
            said, complained = await process.communicate(f"{expression}.\n".encode())
        assert process.returncode == 0, complained.decode()
        return said.decode()
