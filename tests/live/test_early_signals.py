"""Signals that arrive while a command starts end it with the usual exit code and without a traceback."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.live.brokers import free_port
from tests.live.programs import Program, running_program

pytestmark = pytest.mark.live

NOWHERE = f"127.0.0.1:{free_port()}"
COMMANDS = {
    "serve": ["serve"],
    "worker": ["worker", "--name", "w", "--llm-url", f"http://{NOWHERE}", "--broker", NOWHERE],
    "demo": ["demo"],
}
MOMENTS = [
    ("serve", "typer", signal.SIGINT),
    ("worker", "gateway.settings", signal.SIGTERM),
    ("demo", "gateway.settings", signal.SIGINT),
    ("serve", "gateway.assembly", signal.SIGTERM),
    ("serve", "gateway.process.early_signals", signal.SIGINT),
    ("worker", "gateway.process.early_signals", signal.SIGINT),
    ("demo", "gateway.process.early_signals", signal.SIGTERM),
    ("serve", "alembic", signal.SIGTERM),
    ("demo", "alembic", signal.SIGINT),
]
"""A command, and the module after whose import the signal is sent. Migrations import alembic in the loop."""


async def until_imported(started: Program, module: str) -> None:
    """Read lines until one tells this import. `until_said` searches all lines again after each of 1000."""
    told = re.compile(rf"import time:.*\| +{re.escape(module)}\n")
    line = ""
    assert started.process.stdout is not None
    while not told.fullmatch(line):
        line = (await started.process.stdout.readline()).decode()
        started.said += line
        assert line, started.said


@pytest.mark.parametrize(("command", "module", "number"), MOMENTS)
async def test_a_signal_during_the_start_ends_it(
    tmp_path: Path, command: str, module: str, number: signal.Signals
) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    program = [sys.executable, "-X", "importtime", "-m", "gateway", *COMMANDS[command]]
    async with asyncio.timeout(120), running_program(*program, PORT="0", DATABASE_URL=database) as started:
        await until_imported(started, module)
        code = await started.end(number)
    assert "Traceback" not in started.said
    assert code in (128 + number, 0)  # 0: it had begun to handle signals
