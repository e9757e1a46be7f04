"""Compares Sluice over HTTP with nginx and a naive relay, all in front of the same fake llama.cpp.

`make bench` runs it; README.md explains the scenarios and the figures.
"""

import argparse
import collections
import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.measurement import Measurement, Target, measure_undisturbed
from harness.peers import UPSTREAM_PORT, Peer, openai_endpoint, over_http, started, upstream, warmed_up
from harness.programs import Unavailable, compile_parts, refuse_taken_port, run_until_signal
from harness.report import add_options, chosen, keep_raw, patience_of, update_results
from harness.scenarios import OVER_HTTP
from harness.table import DIRECT, markdown_table, one_line

NOTE = """\
`direct` is the model with nothing in between: its own latencies stand in brackets, the others show what they
add. nginx relays bytes and the naive relay keeps nothing; Sluice also persists every message, numbers every
event and can stop and resume the stream."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, scenarios="S3,S1,S2,S4")
    parser.add_argument(
        "--peers", default="direct,nginx,naive,sluice", help="comma-separated (default: %(default)s)"
    )
    parser.add_argument(
        "--earlier", type=Path, help="the `sluice` command of an earlier build: measured beside, as `earlier`"
    )
    parser.add_argument(
        "--postgres", metavar="URL", help="an empty PostgreSQL after `sluice db upgrade`: as `postgres`"
    )
    options = parser.parse_args()
    peers = over_http(options.sluice)
    if options.postgres is not None:
        env = {**peers["sluice"].env, "DATABASE_URL": options.postgres}
        peers["postgres"] = dataclasses.replace(peers["sluice"], name="postgres", env=env)
        options.peers += ",postgres"
    if options.earlier is not None:
        peers["earlier"] = dataclasses.replace(over_http(options.earlier)["sluice"], name="earlier")
        options.peers += ",earlier"
    names = chosen(options.peers, (DIRECT, *peers), "peer")
    scenarios = chosen(options.scenarios, OVER_HTTP, "scenario")
    try:
        compile_parts()
        refuse_taken_port(UPSTREAM_PORT)
    except Unavailable as trouble:
        print(f"nothing was measured: {trouble}")
        return 1

    rounds: dict[tuple[str, str], list[Measurement]] = collections.defaultdict(list)
    missing: dict[str, str] = {}
    patience = patience_of(options)
    for number in range(options.repeat):
        if number and not patience.left_s:
            break
        for name in names:
            if name in missing:
                continue
            try:
                with _serving(peers.get(name)) as target:
                    for scenario in scenarios:
                        load = OVER_HTTP[scenario]
                        measured = measure_undisturbed(target, load, patience)
                        print(one_line(name, scenario, measured), flush=True)
                        rounds[name, scenario].append(measured)
            except Unavailable as trouble:
                missing[name] = str(trouble)
                print(f"{name}: left out: {trouble}", flush=True)

    if not rounds:
        return 1
    table = markdown_table(
        rounds, subject="sluice", beside=("nginx", "naive", "litellm", "earlier", "postgres")
    )
    left_out = "".join(f"\n{name} was left out: {why}." for name, why in missing.items())
    print(f"\n{table}\n\n{NOTE}{left_out}")
    keep_raw("http", rounds)
    if options.update_results:
        update_results("Over HTTP", f"{table}\n\n{NOTE}{left_out}", options.date)
    failed = any(one.flawed for measurements in rounds.values() for one in measurements)
    return 1 if failed or "sluice" in missing else 0


@contextlib.contextmanager
def _serving(peer: Peer | None) -> Iterator[Target]:
    """Run the peer, or none, in front of a new fake model."""
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder,
        upstream(run := Path(folder)) as model,
    ):
        if peer is None:
            yield warmed_up(DIRECT, model, openai_endpoint(UPSTREAM_PORT), helpers=())
            return
        refuse_taken_port(peer.port)
        with started(peer, run, helpers=(model,)) as target:
            yield target


if __name__ == "__main__":
    run_until_signal(main)
