"""A real PostgreSQL server of the tests' own, from the machine's package, with a database for each test."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.store.engine import open_database
from gateway.store.maintenance import upgrade_database

MISSING = "needs PostgreSQL: install the package `postgresql`"
SHARED = "shared"
"""A database with the newest schema, which each test gets empty: a new one takes ten times as long."""

# TRUNCATE takes five times as long.
_EMPTY = """
DO $$
DECLARE name text;
BEGIN
    PERFORM pg_terminate_backend(pid, 60000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
    PERFORM setval(sequence::regclass, 1, false) FROM (
        SELECT quote_ident(sequencename) AS sequence FROM pg_sequences WHERE schemaname = 'public'
    ) AS all_of_them;
END $$
"""

# Nothing here has to survive a loss of power; a kill -9 loses nothing either way.
_FAST = ("fsync=off", "full_page_writes=off", "autovacuum=off", "max_wal_size=1GB", "shared_buffers=32MB")
START_S = 120


def _programs() -> Path | None:
    """Return the folder of the newest `initdb` and `postgres`."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda program: int(program.parts[-3])
    )
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return None if elsewhere is None else Path(elsewhere).resolve().parent


PROGRAMS = _programs()


def requires_postgres() -> pytest.MarkDecorator:
    """Mark a live test: skipped if PostgreSQL is not installed, failed if REQUIRE_LIVE=1."""
    missing = PROGRAMS is None and os.environ.get("REQUIRE_LIVE") != "1"
    return pytest.mark.skipif(missing, reason=MISSING)


class PostgresServer:
    """One server on a Unix socket in its own folder. As root it runs as another user: it refuses root."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAMS is not None, f"REQUIRE_LIVE=1, but this {MISSING}"
        self._programs = PROGRAMS
        self.folder = folder
        self._user = _unprivileged() if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = threading.Event()
        self._names = count(1)
        self._shared = False
        self.log = ""
        # ICU sorts texts otherwise than by their bytes, as the databases of most installations do.
        self._run(
            "initdb", "-D", str(folder / "data"), "-U", "sluice", "--auth=trust", "--no-sync",
            "--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en",
        )  # fmt: skip

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self, *settings: str) -> None:
        """Start it. Call this in the main thread: the server ends with the thread that started it."""
        self._ready = threading.Event()
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        for setting in ("listen_addresses=", f"unix_socket_directories={self.folder}", *_FAST, *settings):
            command += ["-c", setting]
        if (setpriv := shutil.which("setpriv")) is not None:
            # A killed test run must leave no server behind.
            command = [setpriv, "--pdeathsig", "INT", "--", *command]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **self._as_user()
        )
        threading.Thread(target=self._read_log, args=(self._process, self._ready), daemon=True).start()

    def _read_log(self, process: "subprocess.Popen[bytes]", ready: threading.Event) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.log += line.decode(errors="replace")
            if b"ready to accept connections" in line:
                ready.set()
        process.stderr.close()
        ready.set()

    def await_ready(self) -> None:
        """Return when it accepts connections."""
        assert self._ready.wait(START_S), self.log
        assert self._process is not None
        assert self._process.poll() is None, self.log

    def start(self, *settings: str) -> None:
        self.launch(*settings)
        self.await_ready()

    def signal(self, number: int) -> None:
        """SIGINT ends all connections and then the server; SIGQUIT ends it at once, as a crash does."""
        assert self._process is not None
        self._process.send_signal(number)

    def await_end(self) -> None:
        assert self._process is not None
        self._process.wait(START_S)

    def stop(self, number: int) -> None:
        self.signal(number)
        self.await_end()

    def emptied(self) -> str:
        """Return the URL of a database with the newest schema and no rows, the same one at each call."""
        if not self._shared:
            self.sql(f"CREATE DATABASE {SHARED}")
            upgrade = upgrade_database(open_database(self.url(SHARED), "NORMAL"))
            with ThreadPoolExecutor(1) as elsewhere:  # the test may have an event loop
                elsewhere.submit(asyncio.run, upgrade).result()
            self._shared = True
        self.sql(_EMPTY, SHARED)
        return self.url(SHARED)

    def database(self) -> str:
        """Return the URL of a new database without tables."""
        name = f"test{next(self._names)}"
        self.sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql+asyncpg://sluice@/{name}?host={quote(str(self.folder))}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement with psql and return its output."""
        return self._run(
            "psql", "-h", str(self.folder), "-U", "sluice", "-d", database, "-XqtA", "-v", "ON_ERROR_STOP=1",
            "-c", statement,
        )  # fmt: skip

    def _run(self, program: str, *arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(self._programs / program), *arguments],
            capture_output=True, text=True, timeout=START_S, cwd="/", **self._as_user(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _as_user(self) -> dict[str, Any]:
        return {} if self._user is None else {"user": self._user, "group": self._user}


def _unprivileged() -> str:
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise AssertionError("no user but root: PostgreSQL does not run as root")


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server that has not been started; it is stopped and removed after the block."""
    # Not below pytest's folders: their mode keeps the server's user out, and a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="sluice-pg-"))
    try:
        server = PostgresServer(folder)
        try:
            yield server
        finally:
            if server.running:
                server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
