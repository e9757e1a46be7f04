"""The README's commands and programs, read from the file as a user would copy them."""

import asyncio
import json
import re
import shlex
from asyncio.subprocess import PIPE
from typing import Any

from tests.live.programs import ROOT


def blocks(language: str) -> list[str]:
    """Return all code blocks of this language, in order."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def shell_commands() -> list[str]:
    """Return all lines of the `sh` blocks."""
    return [line for block in blocks("sh") for line in block.splitlines()]


def the_command(start: str, holding: str = "") -> str:
    """Return the first command that begins with `start` and contains `holding`."""
    return next(command for command in shell_commands() if command.startswith(start) and holding in command)


async def typed(command: str, url: str) -> str:
    """Run a command of the README against the gateway at `url` and return its output."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command.replace("http://127.0.0.1:8000", url)), stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def events_of(stream: str) -> list[dict[str, Any]]:
    return [json.loads(frame[6:]) for frame in stream.split("\n\n") if frame.startswith("data: ")]
