"""A real Redis server of the tests' own, from the machine's package, on a Unix socket or a free port."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.brokers import free_port

MISSING = "needs Redis: install the package `redis-server`"
PROGRAM = shutil.which("redis-server")
START_S = 120


def requires_redis() -> pytest.MarkDecorator:
    """Mark a live test: skipped if Redis is not installed, failed if REQUIRE_LIVE=1."""
    missing = PROGRAM is None and os.environ.get("REQUIRE_LIVE") != "1"
    return pytest.mark.skipif(missing, reason=MISSING)


class RedisServer:
    """password: needed by clients, which then connect by TCP; empty for a Unix socket without one."""

    def __init__(self, folder: Path, password: str = "") -> None:
        assert PROGRAM is not None, f"REQUIRE_LIVE=1, but this {MISSING}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port() if password else 0
        self._password = password
        socket = folder / "redis.sock"
        self.url = f"redis://:{password}@127.0.0.1:{self._port}/0" if password else f"unix://{socket}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return when it accepts connections. It begins without data."""
        command = [
            *(str(PROGRAM), "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""),
            *("--unixsocket", str(self._folder / "redis.sock"), "--dir", str(self._folder)),
        ]
        if self._password:
            command += ["--requirepass", self._password]
        if (setpriv := shutil.which("setpriv")) is not None:
            # A killed test run must leave no server behind.
            command = [setpriv, "--pdeathsig", "KILL", "--", *command]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        ready = threading.Event()
        threading.Thread(target=_read_log, args=(self._process, ready), daemon=True).start()
        assert ready.wait(START_S)
        assert self.running, "redis-server ended at its start"

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(START_S)

    def cli(self, *arguments: str) -> str:
        """Run redis-cli and return its output."""
        program = shutil.which("redis-cli")
        assert program is not None, MISSING
        where = ("-s", str(self._folder / "redis.sock"))
        environment = os.environ | {"REDISCLI_AUTH": self._password} if self._password else None
        done = subprocess.run(
            [program, *where, *arguments],
            capture_output=True,
            text=True,
            timeout=START_S,
            env=environment,
            check=True,
        )
        return done.stdout.strip()


def _read_log(process: "subprocess.Popen[bytes]", ready: threading.Event) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if b"eady to accept connections" in line:
            ready.set()
    process.stdout.close()
    ready.set()


@contextmanager
def redis_server(password: str = "") -> Iterator[RedisServer]:
    """A started server; it is killed and removed after the block."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-redis-"))  # the path of a socket must be short
    server = RedisServer(folder, password)
    try:
        server.start()
        yield server
    finally:
        if server.running:
            server.signal(signal.SIGCONT)
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)
