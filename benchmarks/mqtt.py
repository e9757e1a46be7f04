"""Compares Sluice over MQTT with a naive relay, both on a Mosquitto with a fast fake worker."""

import argparse
import collections
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.machine import LOAD_CPU, MODEL_CPU
from harness.measurement import Measurement, Target, measure_undisturbed
from harness.peers import over_mqtt, started
from harness.programs import (
    BINARIES,
    Unavailable,
    compile_parts,
    find_program,
    free_port,
    port_open,
    refuse_taken_port,
    run_until_signal,
    running,
    wait_until,
)
from harness.report import add_options, chosen, keep_raw, patience_of, update_results
from harness.scenarios import OVER_MQTT
from harness.table import markdown_table, one_line

BROKER_SETTINGS = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 20000
max_inflight_messages 200
set_tcp_nodelay true
log_type error
log_type warning
log_type notice
"""
NOTE = """\
One token is one QoS 1 frame here: the fake worker does not coalesce. M4 is answered by whole `reply` frames,
with pacing off. Broker and worker share the other CPU with the load generator. A token's latency is counted
from the worker's publish to the client's read, so it holds the broker's share. The naive relay (FastAPI and
aiomqtt) keeps nothing and notices no loss; Sluice does and also persists every message."""
NAMES = ("naive", "sluice")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, scenarios="M1,M2,M4")
    parser.add_argument("--peers", default=",".join(NAMES), help="comma-separated (default: %(default)s)")
    options = parser.parse_args()
    names = chosen(options.peers, NAMES, "peer")
    scenarios = chosen(options.scenarios, OVER_MQTT, "scenario")

    rounds: dict[tuple[str, str], list[Measurement]] = collections.defaultdict(list)
    try:
        compile_parts()
        patience = patience_of(options)
        for number in range(options.repeat):
            if number and not patience.left_s:
                break
            for name in names:
                with _gateway_and_worker(name, options.sluice) as target:
                    for scenario in scenarios:
                        measured = measure_undisturbed(target, OVER_MQTT[scenario], patience)
                        print(one_line(name, scenario, measured), flush=True)
                        rounds[name, scenario].append(measured)
    except Unavailable as trouble:
        print(f"the run ended early: {trouble}")
        return 1

    table = markdown_table(rounds, subject="sluice", beside=("naive",))
    print(f"\n{table}\n\n{NOTE}")
    keep_raw("mqtt", rounds)
    if options.update_results:
        update_results("Over MQTT", f"{table}\n\n{NOTE}", options.date)
    # The naive relay loses frames when one CPU is not enough.
    own = (one for (name, _), measurements in rounds.items() if name == "sluice" for one in measurements)
    return 1 if any(one.flawed for one in own) else 0


@contextlib.contextmanager
def _gateway_and_worker(name: str, sluice_executable: Path | None) -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, contextlib.ExitStack() as stack:
        run, port = Path(folder), free_port()
        broker = stack.enter_context(_broker(run, port))
        log = run / "worker.log"
        worker = stack.enter_context(
            running([str(BINARIES / "worker"), str(port)], cpu=MODEL_CPU, log=log, cwd=run)
        )
        wait_until(
            lambda: log.read_text() == "ready\n", "the worker was not ready", worker, log, deadline_s=5
        )
        gateway = over_mqtt(sluice_executable, port)[name]
        refuse_taken_port(gateway.port)
        yield stack.enter_context(started(gateway, run, helpers=(broker, worker.pid)))


@contextlib.contextmanager
def _broker(run: Path, port: int) -> Iterator[int]:
    mosquitto = find_program("mosquitto")
    if mosquitto is None:
        raise Unavailable("mosquitto is not installed")
    settings = run / "mosquitto.conf"
    settings.write_text(BROKER_SETTINGS.format(port=port) + ("user root\n" if os.geteuid() == 0 else ""))
    log = run / "mosquitto.log"
    with running([mosquitto, "-c", str(settings)], cpu=LOAD_CPU, log=log, cwd=run) as process:
        wait_until(lambda: port_open(port), "Mosquitto did not listen", process, log, deadline_s=5)
        yield process.pid
        if "being dropped" in log.read_text():
            print("Mosquitto dropped frames: the gateway did not keep up and its queue of 20,000 was full")


if __name__ == "__main__":
    run_until_signal(main)
