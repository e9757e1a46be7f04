"""The schemas of Kubernetes and Grafana, from the packages in tests/deploy/schemas."""

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT

from tests.live.locked_packages import python_with
from tests.live.programs import ROOT

SCHEMAS = ROOT / "tests/deploy/schemas"


async def misfits_of_manifest(manifest: str, kubernetes: str) -> str:
    """Return where manifests do not fit this version of Kubernetes: nothing if they fit."""
    strict = ("--strict", "--quiet", "--kubernetes-version", kubernetes)
    return await _told("-m", "kubernetes_validate", *strict, "/dev/stdin", given=manifest)


async def misfits_of_dashboard(dashboard: str) -> str:
    """Return where a dashboard does not fit Grafana's schema, one line each: nothing if it fits."""
    return await _told(str(SCHEMAS / "grafana.py"), given=dashboard)


async def _told(*arguments: str, given: str) -> str:
    python = await python_with(SCHEMAS / "packages.lock", ROOT / ".venv-schemas")
    process = await asyncio.create_subprocess_exec(python, *arguments, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    told, _ = await process.communicate(given.encode())
    sys.stderr.write(told.decode())  # pytest shows it if the test fails
    return told.decode()
