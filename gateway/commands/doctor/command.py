"""`sluice doctor`: checks everything that a gateway needs, and says what to type for each failure."""

import asyncio
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.doctor.findings import Finding, failure, ok, warning
from gateway.commands.doctor.open_files import has_room, open_files
from gateway.commands.printable import printable
from gateway.contract.secrets import remember_secrets, without_secrets
from gateway.settings import Settings, SettingsError, load_settings
from gateway.settings_errors import misspelt

WELL, WARNED, FAILED = 0, 1, 2


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if there are warnings.")] = False,
) -> None:
    """Check what a gateway needs, beside a running one or without. Changes nothing.

    A failure has two lines: what is wrong, and what to type. Exit code 2 if something fails, else 0.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # what checks find is in their findings
    report = _Report(as_json)
    settings = _checked_settings(report)
    if settings is not None:
        report.add("open files", open_files())
        if has_room():
            asyncio.run(_run(settings, report))
    report.end()
    raise typer.Exit(FAILED if "failure" in report.levels else WARNED if strict and report.warned else WELL)


async def _run(settings: Settings, report: "_Report") -> None:
    from gateway.commands.doctor.checks import run_checks

    async for name, finding in run_checks(settings):
        report.add(name, finding)


def _checked_settings(report: "_Report") -> Settings | None:
    try:
        settings = load_settings()
    except SettingsError as error:
        report.add(
            "settings", failure(str(error), "correct it in the environment or in .env; docs/settings.md")
        )
        return None
    remember_secrets(settings.secrets)
    file = Path(".env").resolve()
    report.add("settings", ok(f"from the environment{f' and {file}' if file.is_file() else ''}"))
    for line in misspelt(Settings.model_fields):
        report.add("settings", warning(line, "correct or remove it in the environment or in .env"))
    return settings


class _Report:
    """Prints findings as they come, or all of them as JSON at the end. Secrets are removed."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._findings: list[dict[str, str]] = []

    @property
    def levels(self) -> set[str]:
        return {finding["level"] for finding in self._findings}

    @property
    def warned(self) -> bool:
        return "warning" in self.levels

    def add(self, check: str, finding: Finding) -> None:
        said = {"check": check} | {
            name: printable(without_secrets(value)) for name, value in asdict(finding).items()
        }
        self._findings.append(said)
        if self._as_json:
            return
        typer.echo(f"{said['level']:<9}{check:<15}{said['detail']}")
        if said["fix"]:
            typer.echo(f"{'':<9}{'type:':<15}{said['fix']}")

    def end(self) -> None:
        worst = next((level for level in ("failure", "warning") if level in self.levels), "ok")
        if self._as_json:
            typer.echo(
                json.dumps({"result": worst, "findings": self._findings}, ensure_ascii=False, indent=2)
            )
