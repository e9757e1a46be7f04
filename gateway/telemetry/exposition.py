"""Writes all metrics in Prometheus' text format."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.telemetry.genai_families import newest, older
from gateway.telemetry.process_families import ProcessFamilies
from gateway.telemetry.readings import Readings
from gateway.telemetry.reply_totals import ReplyTotals
from gateway.telemetry.sluice_families import of_readings, of_replies

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(totals: ReplyTotals, now: Readings, *, older_names: bool = False) -> bytes:
    """Return the body of a scrape. older_names: True to write GenAI metrics under their older names too."""
    registry = CollectorRegistry()
    registry.register(_Kept(totals, now, older_names))
    ProcessFamilies(registry=registry)
    return generate_latest(registry)


class _Kept(Collector):
    def __init__(self, totals: ReplyTotals, now: Readings, older_names: bool) -> None:
        self._totals = totals
        self._now = now
        self._older_names = older_names

    def collect(self) -> Iterator[Metric]:
        yield from of_readings(self._now)
        yield from of_replies(self._totals)
        yield from newest(self._totals)
        if self._older_names:
            yield from older(self._totals)

    def describe(self) -> list[Metric]:
        return []
