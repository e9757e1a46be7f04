"""Memory, sockets and tasks of one `sluice serve` after every 4,000 of 20,000 short streams."""

import argparse
import contextlib
import json
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.load import Endpoint, put_load
from harness.machine import process_tree, resident_kib
from harness.measurement import Target
from harness.peers import SLUICE_ENDPOINT, SLUICE_PORT, UPSTREAM_PORT, sluice, started, upstream
from harness.programs import Unavailable, compile_parts, refuse_taken_port, run_until_signal
from harness.scenarios import Scenario

BLOCK = Scenario("", streams=50, requests=4000, tokens=10)
RESUMABLE = Endpoint(SLUICE_ENDPOINT.url, '{"content":"Hi @MARKER@","resumable":true}')
SETTINGS = {
    "LLM_SERVER_URL": f"http://127.0.0.1:{UPSTREAM_PORT}",
    # Small, so that ended replies that it keeps on purpose are not counted as a leak.
    "JOURNAL_MAX_BYTES": "1000000",
    "JOURNAL_TOTAL_BYTES": "1000000",
    "LOG_LEVEL": "warning",
}
COLUMNS = ("streams", "resident KiB", "descriptors", "tasks", "runs", "streams open", "journal bytes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", help="of 4,000 streams (default: %(default)s)", type=int, default=5)
    parser.add_argument(
        "--sluice", help="the `sluice` command to watch; without one, this Python's", type=Path
    )
    options = parser.parse_args()
    try:
        compile_parts()
        for port in (UPSTREAM_PORT, SLUICE_PORT):
            refuse_taken_port(port)
        for title, endpoint in (("plain", SLUICE_ENDPOINT), ("resumable", RESUMABLE)):
            print(f"\n{title}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
            with _gateway(options.sluice) as target:
                _watch(target, endpoint, options.blocks)
    except Unavailable as trouble:
        print(f"the run ended early: {trouble}")
        return 1
    return 0


def _watch(target: Target, endpoint: Endpoint, blocks: int) -> None:
    _print_row(0, target)
    for block in range(1, blocks + 1):
        seen = put_load(endpoint, BLOCK, timeout_s=60)
        if seen.bad_streams or seen.bad_sequence:
            raise Unavailable(f"{seen.bad_streams} streams failed: {seen.last_error}")
        time.sleep(1)  # the gateway cleans up after its clients have read the end
        _print_row(block * BLOCK.requests, target)


def _print_row(streams: int, target: Target) -> None:
    pids = process_tree(target.pid)
    descriptors = sum(1 for pid in pids for _ in Path(f"/proc/{pid}/fd").iterdir())
    figures: Sequence[object] = (streams, resident_kib(pids), descriptors, *_held().values())
    print(f"| {' | '.join(map(str, figures))} |", flush=True)


def _held() -> Mapping[str, int]:
    """Return the gateway's own counts of what it holds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{SLUICE_PORT}/api/metrics", timeout=5) as answer:
        told = json.load(answer)["gateway"]
    return {name: told[name] for name in ("tasks", "runs", "streams", "journalBytes")}


@contextlib.contextmanager
def _gateway(executable: Path | None) -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="sluice-leaks-") as folder:
        run = Path(folder)
        with upstream(run) as model, started(sluice(executable, SETTINGS), run, helpers=(model,)) as target:
            yield target


if __name__ == "__main__":
    run_until_signal(main)
