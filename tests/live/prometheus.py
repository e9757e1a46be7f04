"""A Prometheus that has read scrapes, at times that the test chooses."""

import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.live.brokers import free_port
from tests.live.programs import running_program
from tests.live.promtool import promtool
from tests.plain_http import plain_http

INTERVAL_S = 15
LABELS = 'job="sluice",instance="one:8000"'


class Prometheus:
    """now: time of the latest scrape, seconds since 1970."""

    def __init__(self, http: httpx.AsyncClient, now: int) -> None:
        self._http = http
        self.now = now

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression at the time of the latest scrape. A wrong one fails the test."""
        answer = await self._http.get("/api/v1/query", params={"query": expression, "time": self.now})
        told = answer.json()
        assert told["status"] == "success", told
        result: list[dict[str, Any]] = told["data"]["result"]
        return result


@asynccontextmanager
async def running_prometheus(folder: Path, scrapes: Sequence[str]) -> AsyncIterator[Prometheus]:
    """Run a Prometheus with these texts of `/metrics` as its scrapes, INTERVAL_S apart."""
    last = int(time.time()) // 7200 * 7200  # in a finished block of two hours
    first = last - 600
    times = [first + index * INTERVAL_S for index in range(len(scrapes))]
    (folder / "scrapes.txt").write_text(_open_metrics(dict(zip(times, scrapes, strict=True))))
    code, said = await promtool(
        "tsdb", "create-blocks-from", "openmetrics", "scrapes.txt", "data", folder=folder
    )
    assert code == 0, said
    (folder / "prometheus.yml").write_text("")
    program = shutil.which("prometheus")
    assert program is not None, "promtool is installed, but prometheus is not"
    address = f"127.0.0.1:{free_port()}"
    options = (f"--web.listen-address={address}", f"--storage.tsdb.path={folder}/data")
    async with running_program(program, f"--config.file={folder}/prometheus.yml", *options) as prometheus:
        await prometheus.until_said("Server is ready to receive web requests")
        async with plain_http(f"http://{address}") as http:
            yield Prometheus(http, times[-1])


def _open_metrics(scrapes: dict[int, str]) -> str:
    """Return all samples as OpenMetrics, each with its time. Kinds of metrics do not matter to queries."""
    lines = [
        f"{sample.name}{{{','.join([*(_label(*each) for each in sample.labels.items()), LABELS])}}} "
        f"{sample.value} {at}"
        for at, text in scrapes.items()
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    return "\n".join([*lines, "# EOF", ""])


def _label(name: str, value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{name}="{escaped}"'
