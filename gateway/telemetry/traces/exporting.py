"""Sends spans to a collector by OTLP/HTTP, in a thread, from a bounded queue."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Collection

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_HEADERS,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.re import parse_env_headers

from gateway.telemetry.genai_names import ModelNames
from gateway.telemetry.traces.otel_traces import OtelTraces

log = logging.getLogger("sluice.traces")

LAST_SPANS_S = 2.0
"""Maximum seconds that the end of the process waits for the last spans."""

QUIET_S = 300.0
"""Minimum seconds between two lines about the same trouble."""


def exported_traces(
    endpoint: str,
    headers: str,
    *,
    service: str,
    instance: str,
    version: str,
    known_models: Callable[[], Collection[str]],
) -> OtelTraces:
    """Return traces that go to a collector. Raises ValueError for a wrong `OTEL_…` variable.

    Args:
        endpoint: base URL of the collector; `/v1/traces` is appended.
        headers: for the collector, in the form of OTEL_EXPORTER_OTLP_HEADERS.
        service: `service.name`, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has one.
        instance: `service.instance.id`, unless OTEL_RESOURCE_ATTRIBUTES has one.
        version: `service.version`.
        known_models: see ModelNames.
    """
    theirs = logging.getLogger("opentelemetry")
    theirs.handlers[:], theirs.propagate = [FewLines()], False
    ours = {"service.name": service, "service.instance.id": instance, "service.version": version}
    resource = Resource.create({**ours, **OTELResourceDetector().detect().attributes})
    # Variables for traces alone are more specific, and OpenTelemetry reads them itself.
    exporter = OTLPSpanExporter(
        endpoint=None
        if os.environ.get(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
        else f"{endpoint.removesuffix('/')}/v1/traces",
        headers=None
        if os.environ.get(OTEL_EXPORTER_OTLP_TRACES_HEADERS)
        else parse_env_headers(headers, liberal=True),
    )
    # Not OpenTelemetry's global provider: FastAPI would make spans too, with queries in them.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))

    async def close() -> None:
        # A daemon, so that a collector that does not answer cannot hold up the end of the process.
        last = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
        last.start()
        await asyncio.to_thread(last.join, LAST_SPANS_S)

    return OtelTraces(provider.get_tracer("sluice", version), ModelNames(known_models), close)


class FewLines(logging.Handler):
    """Logs warnings of OpenTelemetry, of each of its loggers at most one in QUIET_S."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._quiet_until: dict[str, float] = {}
        self._untold = 0

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        if now < self._quiet_until.get(record.name, 0.0):
            self._untold += 1
            return
        self._quiet_until[record.name] = now + QUIET_S
        untold, self._untold = self._untold, 0
        error = record.exc_info[1] if record.exc_info else None
        log.warning(
            "traces may be missing: %s%s%s",
            record.getMessage(),
            "" if error is None else f" {error!r}",
            f" ({untold} similar lines before)" if untold else "",
        )
