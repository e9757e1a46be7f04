"""The state of a running gateway at one moment, from its own API."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from gateway.commands.admin_client import NoGateway, detail_of, send_request

MOST_STREAMS = 1000
_FOR_NOW = frozenset({429, 500, 502, 503, 504})

Thing = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of a gateway.

    Attributes:
        at: seconds, monotonic.
        metrics: `GET /api/metrics`.
        streams: running replies, at most MOST_STREAMS.
        workers: with their rules.
        problems: one sentence each.
        away: the other modes that cannot serve now, each with the reason.
    """

    at: float
    metrics: Thing
    streams: Sequence[Thing]
    workers: Sequence[Thing]
    problems: Sequence[str]
    away: Sequence[str] = ()


class CannotAnswer(NoGateway):
    """The gateway is there, and cannot answer now, as while its database is away."""


class Refused(Exception):
    """The gateway refuses these requests, as with a wrong key. Asking again does not help."""


def take_snapshot(url: str, key: str) -> Snapshot:
    """Ask the gateway. Raises NoGateway, CannotAnswer and Refused."""
    metrics, streams, workers, modes = (
        _ask(url, key, path)
        for path in (
            "/api/metrics",
            f"/api/admin/streams?limit={MOST_STREAMS}",
            "/api/admin/workers",
            "/api/admin/mode",
        )
    )
    _, ready = send_request(url, key, "GET", "/ready")
    try:
        problems = _problems(metrics, workers, ready)
        away = [
            f"{mode['mode']} ({mode['detail']})"
            for mode in modes["modes"]
            if not mode["ok"] and mode["mode"] != modes["mode"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise NoGateway(f"{url} is no gateway of this version: {error!r}") from error
    return Snapshot(time.monotonic(), metrics, streams, workers, problems, away)


def _ask(url: str, key: str, path: str) -> Any:
    status, told = send_request(url, key, "GET", path)
    if status == HTTPStatus.OK and not isinstance(told, bytes):
        return told
    if status == HTTPStatus.OK:
        raise NoGateway(f"{url} is no gateway: {detail_of(status, told)}")
    if status in _FOR_NOW:
        raise CannotAnswer(f"{url} cannot answer: {detail_of(status, told).rstrip('.')}")
    raise Refused(detail_of(status, told))


def _problems(metrics: Thing, workers: Sequence[Thing], ready: Any) -> list[str]:
    problems = list(map(str, ready.get("missing", ()))) if isinstance(ready, dict) else []
    problems += [
        f"transport {name}: its circuit breaker is {state}"
        for name, state in metrics["breakers"].items()
        if state != "closed"
    ]
    problems += [
        f"model server {server['url']}: {server['detail']}"
        for server in metrics["llm"]["servers"]
        if not server["ok"]
    ]
    problems += [
        f"worker {worker['name']}: suspended after failures"
        for worker in workers
        if worker["worker"] is not None and worker["worker"]["set_aside"]
    ]
    return problems


def rates(now: Snapshot, before: Snapshot | None) -> dict[str, float]:
    """Return the characters per second of each running reply since `before`, or since its question."""
    earlier = {} if before is None else {stream["id"]: stream["chars"] for stream in before.streams}
    passed = 0.0 if before is None else now.at - before.at
    found = {}
    for stream in now.streams:
        since, seconds = (earlier[stream["id"]], passed) if stream["id"] in earlier else (0, stream["age_s"])
        found[stream["id"]] = max(0, stream["chars"] - since) / seconds if seconds > 0 else 0.0
    return found
