"""Starts and ends the programs of a run, each pinned to a CPU and on loopback; none outlives the run."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.machine import process_tree

SOURCES = Path(__file__).parent.parent / "src"
BINARIES = Path(__file__).parent.parent / "bin"
PARTS = {
    "upstream": ("upstream.c", "marker.c", "schedule.c"),
    "loadgen": ("loadgen.c", "answer.c", "options.c", "sse.c"),
    "worker": ("worker.c", "mqtt.c", "marker.c", "schedule.c"),
}


class Unavailable(Exception):
    """A program that a run needs is missing or did not start. The text is one sentence."""


def find_program(name: str) -> str | None:
    """Return a program's path, also from directories that are only in root's PATH."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin")


def compile_parts() -> None:
    """Build missing and outdated programs. Raises Unavailable without gcc, or if a build fails."""
    newest_source = max(path.stat().st_mtime for path in SOURCES.iterdir())
    for part, sources in PARTS.items():
        binary = BINARIES / part
        if binary.exists() and binary.stat().st_mtime > newest_source:
            continue
        compiler = find_program("gcc")
        if compiler is None:
            raise Unavailable(
                "gcc is not installed, and the load generator and the fake model are written in C"
            )
        BINARIES.mkdir(exist_ok=True)
        command = [
            compiler,
            "-O2",
            "-Wall",
            "-Wextra",
            "-o",
            str(binary),
            *(str(SOURCES / name) for name in sources),
        ]
        if subprocess.run(command, timeout=120).returncode:
            raise Unavailable(f"gcc could not build {part}")


def pinned(cpu: int, command: Sequence[str]) -> list[str]:
    return ["taskset", "--cpu-list", str(cpu), *command]


@contextlib.contextmanager
def running(
    command: Sequence[str], *, cpu: int, log: Path, cwd: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program on one CPU, in a new session, until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned(cpu, command), cwd=cwd, env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    family = process_tree(process.pid)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in family[1:]:  # children that outlived their parent
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def wait_until(
    ready: Callable[[], bool], what: str, process: subprocess.Popen[bytes], log: Path, *, deadline_s: float
) -> None:
    """Wait until ready. Raises Unavailable, with the log's end, if the process ends or needs too long."""
    give_up_at = time.monotonic() + deadline_s
    while not ready():
        if process.poll() is not None:
            raise Unavailable(f"it ended with code {process.returncode}: {last_line(log)}")
        if time.monotonic() > give_up_at:
            raise Unavailable(f"{what} within {deadline_s:.0f} s: {last_line(log)}")
        time.sleep(0.05)


def port_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def refuse_taken_port(port: int) -> None:
    """Raise Unavailable if another program listens there: it would be measured in place of ours."""
    if port_open(port):
        raise Unavailable(f"port {port} is taken; is another benchmark running?")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"


def run_until_signal(main: Callable[[], int]) -> None:
    """Run main and exit with its code. SIGINT and SIGTERM unwind it, so that it ends its children."""
    # A shell starts background programs with SIGINT ignored, so SIGINT needs a handler too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; everything that was started has ended")
        sys.exit(130)
