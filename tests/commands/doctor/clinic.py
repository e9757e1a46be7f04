"""Runs `sluice doctor` with settings of a test, and reads its lines."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from gateway.cli import app


@dataclass(frozen=True)
class Examined:
    """The exit code and output of `sluice doctor`."""

    code: int
    output: str

    def level(self, check: str) -> str:
        """Return the level of a check's only finding."""
        (level,) = re.findall(rf"^(ok|skipped|warning|failure) +{check}  ", self.output, re.MULTILINE)
        return str(level)

    def problem(self, check: str) -> tuple[str, str, str]:
        """Return the level of the only problem that a check found, and its two lines: wrong, and to type."""
        found = re.findall(rf"^(warning|failure) +{check}  +(.+)\n +type: +(.+)$", self.output, re.MULTILINE)
        assert len(found) == 1, self.output
        level, wrong, fix = found[0]
        return level, wrong, fix

    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.output)
        return told


def database_in(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'sluice.db'}"


def doctor(folder: Path, *arguments: str, **settings: str) -> Examined:
    """Run it in this process. The database is in `folder`; no model server is reachable by default."""
    environment = {"DATABASE_URL": database_in(folder), "PORT": "0", "LLM_COMM_MODE": "sse"} | settings
    environment.setdefault("LLM_SERVER_URL", "http://127.0.0.1:9")
    result = CliRunner(env=environment).invoke(app, ["doctor", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Examined(result.exit_code, result.output)
