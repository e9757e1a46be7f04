"""The options every benchmark takes, and RESULTS.md, which keeps the last figures and their machine."""

import argparse
import dataclasses
import datetime
import json
import shlex
import sys
from pathlib import Path

from harness.machine import description
from harness.table import Rounds

HERE = Path(__file__).parent.parent
RESULTS = HERE / "RESULTS.md"
INTRODUCTION = """# Results

Written by `run.py` and `mqtt.py` with `--update-results`; README.md says how to read them."""


def add_options(parser: argparse.ArgumentParser, *, scenarios: str) -> None:
    parser.add_argument("--scenarios", default=scenarios, help="comma-separated (default: %(default)s)")
    parser.add_argument(
        "--repeat", type=int, default=3, help="rounds; the table shows medians (default: %(default)s)"
    )
    parser.add_argument(
        "--retries", type=int, default=2, help="of a scenario disturbed by other programs (default: 2)"
    )
    parser.add_argument(
        "--idle-wait", type=float, default=30, metavar="S", help="longest wait for a quiet machine"
    )
    parser.add_argument(
        "--sluice", type=Path, help="the `sluice` executable to measure (default: beside this Python)"
    )
    parser.add_argument("--update-results", action="store_true", help="write benchmarks/RESULTS.md")
    parser.add_argument(
        "--date", default=datetime.date.today().isoformat(), help="for RESULTS.md (default: today)"
    )


def chosen(names: str, known: object, what: str) -> list[str]:
    """The names of a comma-separated option; ends the program when one is not known."""
    wanted = names.split(",")
    strangers = [name for name in wanted if name not in known]  # type: ignore[operator]
    if strangers:
        sys.exit(f"no such {what}: {', '.join(strangers)}")
    return wanted


def keep_raw(name: str, rounds: Rounds) -> None:
    """Every measurement of the run, for whoever wants more than medians: results/<name>.json."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    raw = [
        {"peer": peer, "scenario": scenario, "rounds": [dataclasses.asdict(one) for one in measurements]}
        for (peer, scenario), measurements in rounds.items()
    ]
    (folder / f"{name}.json").write_text(json.dumps(raw, indent=1))


def update_results(title: str, table: str, date: str) -> None:
    """Replace one section of RESULTS.md and leave the others alone."""
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    section = f"{title}\n\n{date}, {description()}\n\n    {command}\n\n{table}\n"
    old = RESULTS.read_text().split("\n## ")[1:] if RESULTS.exists() else []
    kept = [each for each in old if each.split("\n", 1)[0] != title]
    sections = sorted([*kept, section])
    RESULTS.write_text("\n## ".join([INTRODUCTION + "\n", *sections]).rstrip() + "\n")
