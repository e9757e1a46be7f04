"""The README's commands and programs, taken from it as a reader copies them."""

import asyncio
import json
import re
import shlex
from asyncio.subprocess import PIPE
from typing import Any

from tests.live.programs import ROOT


def blocks(language: str) -> list[str]:
    """Every code block of this language, in order."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def shell_commands() -> list[str]:
    """Every line of the `sh` blocks."""
    return [line for block in blocks("sh") for line in block.splitlines()]


def the_command(start: str, holding: str = "") -> str:
    """The first command with this start that holds these words."""
    return next(command for command in shell_commands() if command.startswith(start) and holding in command)


async def typed(command: str, url: str) -> str:
    """What a command of the README prints, asked of the gateway at `url`."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command.replace("http://127.0.0.1:8000", url)), stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def events_of(stream: str) -> list[dict[str, Any]]:
    return [json.loads(frame[6:]) for frame in stream.split("\n\n") if frame.startswith("data: ")]
