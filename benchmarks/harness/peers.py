"""The programs under test between the fake llama.cpp server and the load generator: Sluice and others."""

import contextlib
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.litellm import litellm_installed
from harness.load import Endpoint, put_load
from harness.machine import MODEL_CPU, TARGET_CPU, process_tree, resident_kib
from harness.measurement import Target
from harness.programs import BINARIES, Unavailable, find_program, last_line, port_open, running, wait_until
from harness.scenarios import WARM_UP

UPSTREAM_PORT = 9100
SLUICE_PORT = 9300
PEER_FILES = Path(__file__).parent.parent / "peers"
OPENAI_BODY = '{"model":"fake","stream":true,"messages":[{"role":"user","content":"Hello @MARKER@"}]}'
SLUICE_ENDPOINT = Endpoint(f"http://127.0.0.1:{SLUICE_PORT}/messages/stream", '{"content":"Hi @MARKER@"}')
INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR")  # no settings of the calling shell


@dataclass(frozen=True, slots=True)
class Peer:
    """One program under test.

    command: returns the command for the run's directory; raises Unavailable if something is not installed.
    ready_path: answers 200 when the program serves requests; without one, an open port is enough.
    """

    name: str
    port: int
    endpoint: Endpoint
    command: Callable[[Path], Sequence[str]]
    env: Mapping[str, str] = field(default_factory=dict)
    ready_path: str | None = None
    start_deadline_s: float = 30


def openai_endpoint(port: int, *headers: str) -> Endpoint:
    return Endpoint(f"http://127.0.0.1:{port}/v1/chat/completions", OPENAI_BODY, headers)


def sluice(executable: Path | None, env: Mapping[str, str], *options: str) -> Peer:
    """Return the peer for Sluice.

    Args:
        executable: `sluice` of another build; by default, of this environment.
        env: its settings.
        options: of `sluice serve`.
    """

    def command(run: Path) -> Sequence[str]:
        found = executable or Path(sys.executable).with_name("sluice")
        if not found.exists():
            raise Unavailable(
                f"there is no {found.name} command beside this Python; install the project first"
            )
        return [str(found.absolute()), "serve", *options]

    # The database is a file in the run's directory, where the command starts.
    env = {"PORT": str(SLUICE_PORT), "DATABASE_URL": "sqlite+aiosqlite:///bench.db", **env}
    return Peer("sluice", SLUICE_PORT, SLUICE_ENDPOINT, command, env, ready_path="/ready")


def over_http(sluice_executable: Path | None) -> dict[str, Peer]:
    """Return the peers over HTTP by name. `direct` means the fake model without a peer."""
    peers = [
        Peer("nginx", 9201, openai_endpoint(9201), _nginx),
        Peer("naive", 9202, openai_endpoint(9202), _naive),
        Peer(
            "litellm",
            9204,
            openai_endpoint(9204, "Authorization: Bearer sk-bench"),
            _litellm,
            {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"},
            start_deadline_s=120,
        ),
        sluice(
            sluice_executable,
            {
                "LLM_SERVER_URL": f"http://127.0.0.1:{UPSTREAM_PORT}",
                "LLM_COMM_MODE": "sse",
            },
        ),
    ]
    return {peer.name: peer for peer in peers}


def over_mqtt(sluice_executable: Path | None, broker_port: int) -> dict[str, Peer]:
    """Return the peers over MQTT by name, all with the worker on this broker."""
    port = str(broker_port)
    peers = [
        Peer("naive", 9203, openai_endpoint(9203), _naive_over_mqtt, {"BROKER_PORT": port}),
        sluice(
            sluice_executable,
            {
                "LLM_COMM_MODE": "mqtt",
                "MQTT_BROKER_HOST": "127.0.0.1",
                "MQTT_BROKER_PORT": port,
                "GATEWAY_NAME": "bench-gateway",
                "CHUNK_DELAY_S": "0",
                # All the load goes to one worker.
                "WORKER_MAX": "4000",
            },
        ),
    ]
    return {peer.name: peer for peer in peers}


def _nginx(run: Path) -> Sequence[str]:
    nginx = find_program("nginx")
    if nginx is None:
        raise Unavailable("nginx is not installed")
    return [nginx, "-p", str(run), "-c", str(PEER_FILES / "nginx.conf")]


def _naive(run: Path) -> Sequence[str]:
    return _under_uvicorn("naive:app", 9202)


def _naive_over_mqtt(run: Path) -> Sequence[str]:
    return _under_uvicorn("naive_mqtt:app", 9203)


def _under_uvicorn(app: str, port: int) -> Sequence[str]:
    server = [sys.executable, "-m", "uvicorn", app, "--app-dir", str(PEER_FILES)]
    server += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--backlog", "4096"]
    return [*server, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]


def _litellm(run: Path) -> Sequence[str]:
    litellm = os.environ.get("LITELLM") or litellm_installed()
    config = str(PEER_FILES / "litellm.yaml")
    return [litellm, "--config", config, "--host", "127.0.0.1", "--port", "9204", "--num_workers", "1"]


@contextlib.contextmanager
def upstream(run: Path) -> Iterator[int]:
    """Run the fake llama.cpp server on UPSTREAM_PORT and give its process id."""
    log = run / "upstream.log"
    with running(
        [str(BINARIES / "upstream"), str(UPSTREAM_PORT)], cpu=MODEL_CPU, log=log, cwd=run
    ) as process:
        wait_until(lambda: port_open(UPSTREAM_PORT), "it did not listen", process, log, deadline_s=5)
        yield process.pid


@contextlib.contextmanager
def started(peer: Peer, run: Path, helpers: Sequence[int]) -> Iterator[Target]:
    """Start the peer and warm it up. Raises Unavailable if it does not become ready."""
    log = run / f"{peer.name}.log"
    env = {name: os.environ[name] for name in INHERITED if name in os.environ} | dict(peer.env)
    with running(peer.command(run), cpu=TARGET_CPU, log=log, cwd=run, env=env) as process:
        wait_until(lambda: _serves(peer), "it was not ready", process, log, deadline_s=peer.start_deadline_s)
        try:
            yield warmed_up(peer.name, process.pid, peer.endpoint, helpers)
        except Unavailable as trouble:
            raise Unavailable(f"{trouble}; its log ends: {last_line(log)}") from trouble


def warmed_up(name: str, pid: int, endpoint: Endpoint, helpers: Sequence[int]) -> Target:
    """Return the target after its first requests, with the memory it uses then."""
    warm_up = put_load(endpoint, WARM_UP, timeout_s=30)
    if warm_up.bad_streams:
        why = warm_up.last_error or "no answer in time"
        raise Unavailable(f"{warm_up.bad_streams} of {WARM_UP.requests} first requests failed: {why}")
    time.sleep(0.5)
    return Target(name, pid, endpoint, helpers, idle_kib=resident_kib(process_tree(pid)))


def _serves(peer: Peer) -> bool:
    if peer.ready_path is None:
        return port_open(peer.port)
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{peer.port}{peer.ready_path}", timeout=5),
    ):
        return True
    return False
