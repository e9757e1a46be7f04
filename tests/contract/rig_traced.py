"""A transport with spans around it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.sdk.trace import TracerProvider

from gateway.contract.traces import NO_TRACES
from gateway.contract.transport import Transport
from gateway.telemetry.genai_names import ModelNames
from gateway.telemetry.traces.otel_traces import OtelTraces
from tests.contract.rigs import ScriptedRig


class TracedRig(ScriptedRig):
    name = "traced"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Transport]:
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
        async with super().serving() as transport:
            yield OtelTraces(tracer, ModelNames(tuple), NO_TRACES.close).serving(transport, "w")
