"""The options of all benchmarks, and RESULTS.md with the last figures and their machine."""

import argparse
import dataclasses
import datetime
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from harness.machine import description
from harness.measurement import Patience
from harness.table import Rounds

HERE = Path(__file__).parent.parent
RESULTS = HERE / "RESULTS.md"
INTRODUCTION = """# Results

Written by `run.py` and `mqtt.py` with `--update-results`; README.md says how to read them."""


def add_options(parser: argparse.ArgumentParser, *, scenarios: str) -> None:
    def add(name: str, help_text: str, **settings: Any) -> None:
        parser.add_argument(name, help=f"{help_text} (default: %(default)s)", **settings)

    add("--scenarios", "comma-separated", default=scenarios)
    add("--repeat", "rounds, of which the table shows medians", type=int, default=3)
    add("--retries", "of a scenario that other programs disturbed", type=int, default=2)
    add("--idle-wait", "seconds to wait for a quiet machine before a scenario", type=float, default=10)
    add("--patience", "seconds after which no round, retry or wait begins", type=float, default=600)
    add("--sluice", "the `sluice` command to measure; without one, this Python's", type=Path)
    add("--date", "for RESULTS.md", default=datetime.date.today().isoformat())
    parser.add_argument("--update-results", action="store_true", help="write benchmarks/RESULTS.md")


def patience_of(options: argparse.Namespace) -> Patience:
    return Patience(options.retries, options.idle_wait, time.monotonic() + options.patience)


def chosen(names: str, known: object, what: str) -> list[str]:
    """Return the names in a comma-separated option. Exit the program if one is unknown."""
    wanted = names.split(",")
    strangers = [name for name in wanted if name not in known]  # type: ignore[operator]
    if strangers:
        sys.exit(f"no such {what}: {', '.join(strangers)}")
    return wanted


def keep_raw(name: str, rounds: Rounds) -> None:
    """Write every measurement of the run, not only the medians, to results/<name>.json."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    raw = [
        {"peer": peer, "scenario": scenario, "rounds": [dataclasses.asdict(one) for one in measurements]}
        for (peer, scenario), measurements in rounds.items()
    ]
    (folder / f"{name}.json").write_text(json.dumps(raw, indent=1))


def update_results(title: str, table: str, date: str) -> None:
    """Replace one section of RESULTS.md; the others stay."""
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    section = f"{title}\n\n{date}, {description()}\n\n    {command}\n\n{table}\n"
    old = RESULTS.read_text().split("\n## ")[1:] if RESULTS.exists() else []
    kept = [each for each in old if each.split("\n", 1)[0] != title]
    sections = sorted([*kept, section])
    RESULTS.write_text("\n## ".join([INTRODUCTION + "\n", *sections]).rstrip() + "\n")
