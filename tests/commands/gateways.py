"""Commands of `sluice` beside a gateway of the tests' own, and beside none."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typer.testing import CliRunner, Result

from gateway.cli import app
from tests.web.gateway_server import Served

WIDE = {"COLUMNS": "200"}


async def sluice(gateway: Served, *arguments: str, key: str = "") -> Result:
    """Run a command that talks to this gateway."""
    runner = CliRunner(env={"SLUICE_URL": gateway.url, "SLUICE_API_KEY": key, **WIDE})
    return await asyncio.to_thread(runner.invoke, app, list(arguments))


@contextmanager
def nobodys_url() -> Iterator[str]:
    """An address at which connections are refused during the block."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def sluice_alone(tmp_path: Path, *arguments: str) -> Result:
    """Run a command on a database in this folder, without a gateway."""
    with nobodys_url() as url:
        database = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
        runner = CliRunner(env={"SLUICE_URL": url, "DATABASE_URL": database, **WIDE})
        return runner.invoke(app, list(arguments))
