"""The gateway's own metrics as Prometheus families."""

import platform
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric

from gateway.telemetry.readings import Readings
from gateway.telemetry.reply_totals import ReplyTotals

_BREAKER_STATES = ("closed", "half-open", "open")


def of_replies(totals: ReplyTotals) -> Iterator[Metric]:
    """Yield the number of replies."""
    labels = ("reason", "mode", "dialect", "transport")
    replies = CounterMetricFamily("sluice_replies", "Replies that have ended.", labels=labels)
    for values, count in totals.replies.items():
        replies.add_metric(values, count)
    yield replies


def of_readings(now: Readings) -> Iterator[Metric]:
    """Yield the families of the gateway's state."""
    yield _labelled(
        GaugeMetricFamily("sluice_build_info", "Versions; always 1.", labels=("version", "python")),
        {(now.version, platform.python_version()): 1},
    )
    yield _gauge("sluice_uptime_seconds", "Time since the start.", now.uptime_s)
    yield _labelled(
        GaugeMetricFamily("sluice_mode_ready", "1 if the current mode can answer.", labels=("mode",)),
        {(now.mode,): now.mode_ready},
    )
    yield _gauge("sluice_draining", "1 while the gateway is stopping.", now.draining)
    yield _gauge("sluice_running_replies", "Replies that are being generated.", now.running)
    yield _gauge(
        "sluice_open_streams", "Event streams of replies, sessions, rooms and live views.", now.streams
    )
    yield _gauge("sluice_reply_readers", "Readers of replies that are being generated.", now.readers)
    yield _gauge("sluice_journal_bytes", "Size of the events kept for readers.", now.journal_bytes)
    yield _gauge("sluice_queued_requests", "Requests that wait for an MQTT worker.", now.queued)
    yield _counter("sluice_resumes", "Streams that were resumed at an event id.", now.resumes)
    yield _counter(
        "sluice_readers_lost", "Streams whose client left before the reply's end.", now.readers_lost
    )
    yield _counter(
        "sluice_slow_readers_cut",
        "Connections closed because the client did not read.",
        now.slow_readers_cut,
    )
    yield _labelled(
        CounterMetricFamily(
            "sluice_refused_requests",
            "Requests refused with 429.",
            labels=("limit", "user_class"),
        ),
        {(limit, user_class): count for (limit, user_class), count in now.refused.items()},
    )
    if now.redis is not None:
        yield _gauge("sluice_redis_connected", "0 while limits are not counted in Redis.", now.redis)
    yield _labelled(
        GaugeMetricFamily("sluice_key_tokens_today", "Tokens used today, in UTC.", labels=("key",)),
        {(key,): used for key, (used, _) in now.key_tokens.items()},
    )
    yield _labelled(
        GaugeMetricFamily("sluice_key_tokens_per_day", "Allowed tokens per day.", labels=("key",)),
        {(key,): limit for key, (_, limit) in now.key_tokens.items()},
    )
    yield from _of_transports(now)
    yield from _of_database(now)


def _of_transports(now: Readings) -> Iterator[Metric]:
    yield _labelled(
        GaugeMetricFamily("sluice_workers", "MQTT workers.", labels=("state",)),
        {(state,): count for state, count in now.workers.items()},
    )
    yield _gauge("sluice_worker_requests", "This gateway's requests at MQTT workers.", now.worker_requests)
    if now.broker is not None:
        yield _gauge("sluice_broker_connected", "1 while the MQTT broker is connected.", now.broker)
        yield _counter("sluice_broker_connections_lost", "Lost connections to the broker.", now.broker_lost)
    yield _labelled(
        GaugeMetricFamily(
            "sluice_breaker_state",
            "1 for the state of each transport's circuit breaker, in mode auto.",
            labels=("transport", "state"),
        ),
        {
            (transport, state): state == current
            for transport, current in now.breakers.items()
            for state in _BREAKER_STATES
        },
    )


def _of_database(now: Readings) -> Iterator[Metric]:
    writes = now.writes
    yield _gauge("sluice_database_writable", "0 if the database takes no changes.", now.database_writable)
    yield _gauge(
        "sluice_database_waiting_changes", "Changes that wait for their transaction.", writes.waiting
    )
    yield SummaryMetricFamily(
        "sluice_database_write_wait_seconds",
        "Time from a change's request to its commit.",
        count_value=writes.committed,
        sum_value=writes.waited_s,
    )
    if now.database_bytes is not None:
        yield _gauge("sluice_database_bytes", "Size of the database.", now.database_bytes)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(name, help, value=value)


def _labelled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[tuple[str, ...], float]
) -> Metric:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
