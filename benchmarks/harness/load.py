"""One run of the load generator against one URL."""

import json
import subprocess
import tempfile
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.machine import LOAD_CPU
from harness.programs import BINARIES, Unavailable, pinned
from harness.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Endpoint:
    """URL and body of the requests. `@MARKER@` in the body is replaced by the scenario's marker."""

    url: str
    body: str
    headers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles in milliseconds."""

    p50: float
    p99: float
    largest: float


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Figures of the client. bad_sequence: tokens lost, repeated or out of order within streams."""

    ok: int
    bad_streams: int
    bad_sequence: int
    tokens: int
    frames: int
    wall_s: float
    client_cpu_s: float
    first_token_ms: Spread
    relay_ms: Spread
    last_error: str


def put_load(endpoint: Endpoint, scenario: Scenario, *, timeout_s: float) -> LoadResult:
    url = urllib.parse.urlsplit(endpoint.url)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        body.write(endpoint.body.replace("@MARKER@", scenario.marker))
        body.flush()
        command = [str(BINARIES / "loadgen"), "--host", str(url.hostname), "--port", str(url.port)]
        command += ["--path", url.path, "--body-file", body.name]
        command += [
            "-c",
            str(scenario.streams),
            "-n",
            str(scenario.requests),
            "--expect",
            str(scenario.tokens),
        ]
        command += ["--ramp", str(scenario.ramp_s), "--timeout", str(timeout_s)]
        for header in endpoint.headers:
            command += ["--header", header]
        finished = subprocess.run(
            pinned(LOAD_CPU, command), capture_output=True, text=True, timeout=timeout_s + 30
        )
    if not finished.stdout:
        raise Unavailable(f"the load generator failed: {finished.stderr.strip()}")
    return _read(json.loads(finished.stdout))


def _read(seen: dict[str, Any]) -> LoadResult:
    return LoadResult(
        ok=seen["ok"],
        bad_streams=seen["failed"] + seen["unfinished"] + seen["not_started"],
        bad_sequence=seen["badseq"],
        tokens=seen["tokens"],
        frames=seen["frames"],
        wall_s=seen["wall_s"],
        client_cpu_s=seen["client_cpu_s"],
        first_token_ms=_spread(seen["ttft_us"]),
        relay_ms=_spread(seen["lat_us"]),
        last_error=seen["last_error"],
    )


def _spread(micros: dict[str, float]) -> Spread:
    return Spread(micros["p50"] / 1e3, micros["p99"] / 1e3, micros["max"] / 1e3)
