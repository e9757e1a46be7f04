"""Makes the table of docs/clients.md from what the client packages reported; `make clients` calls it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.live.programs import ROOT

PAGE = ROOT / "docs" / "clients.md"
RESULTS = ROOT / ".clients"
"""Folder of the rows of the latest run, one file for each set of packages. Not committed."""
HEAD = "| client | version | part | calls | sse | mqtt |"
_RULE = "|---|---|---|---|---|---|"

PYTHON = ROOT / "tests" / "clients" / "python"
NODE = ROOT / "tests" / "clients" / "package-lock.json"
SETS = ("newest", "older", "node")


def locked_versions(packages: str) -> dict[str, tuple[str, str]]:
    """Return for each package of a set the name that the table shows, and its version in the lock file."""
    if packages != "node":
        pins = re.findall(r"^(\S+)==(\S+)", (PYTHON / f"{packages}.lock").read_text(), re.MULTILINE)
        return {name: (f"`{name}`, Python", version) for name, version in pins}
    locked = json.loads(NODE.read_text())["packages"]
    return {
        path.removeprefix("node_modules/"): (
            f"`{package.get('name', path.removeprefix('node_modules/'))}`, Node",
            package["version"],
        )
        for path, package in locked.items()
        if path.count("node_modules/") == 1
    }


def rows_of(packages: str, results: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the table's rows, one for all calls of a client's part with the same result.

    Args:
        packages: the set that ran.
        results: as ClientsHouse.judged returns them.
    """
    versions = locked_versions(packages)
    by_call: dict[tuple[str, str, str], dict[str, str]] = {}
    for one in results:
        by_call.setdefault((one["client"], one["area"], one["call"]), {})[one["mode"]] = one["result"]
    calls: dict[tuple[str, ...], list[str]] = {}
    for (client, area, call), by_mode in by_call.items():
        told, version = versions.get(client, (client, "-"))
        calls.setdefault((told, version, area, by_mode["sse"], by_mode["mqtt"]), []).append(call)
    return [
        f"| {told} | {version} | {area} | {'; '.join(names)} | {sse} | {mqtt} |"
        for (told, version, area, sse, mqtt), names in calls.items()
    ]


def rows_on_page() -> list[str]:
    table = PAGE.read_text(encoding="utf-8").partition(HEAD)[2]
    return re.match(r"\n.*\n((?:\|.*\n)*)", table)[1].splitlines()  # type: ignore[index]


def client_of(row: str) -> tuple[str, ...]:
    """Return client and version of a row."""
    return tuple(cell.strip() for cell in row.split("|")[1:3])


def keep(packages: str, rows: Sequence[str]) -> None:
    """Store the rows for `main`."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{packages}.json").write_text(json.dumps(rows))


def main() -> None:
    """Write the rows of the latest run into the page."""
    rows = [row for name in SETS for row in json.loads((RESULTS / f"{name}.json").read_text())]
    page = PAGE.read_text(encoding="utf-8")
    old = "".join(f"{row}\n" for row in rows_on_page())
    table = f"{HEAD}\n{_RULE}\n"
    PAGE.write_text(page.replace(table + old, table + "".join(f"{row}\n" for row in rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
