"""A collector in the test's process: it decodes what OpenTelemetry's exporters send by OTLP/HTTP."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


@dataclass(frozen=True)
class CollectedSpan:
    """One span. parent: the id of its parent; empty without one. links: trace and span of each."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    failed: bool
    links: list[tuple[str, str]]

    @property
    def place(self) -> str:
        """Its `traceparent`, without the flags."""
        return f"00-{self.trace}-{self.id}"


class Collector:
    """heads: of all requests. received: their bodies, as they came."""

    def __init__(self) -> None:
        self.url = ""
        self.heads: list[bytes] = []
        self.received = b""
        self.spans: list[CollectedSpan] = []
        self._came = asyncio.Event()

    def named(self, name: str) -> CollectedSpan:
        """Return the only span with this name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span

    async def until(self, enough: Callable[[Sequence[CollectedSpan]], bool]) -> None:
        """Wait until the spans are enough. The test has the deadline."""
        while not enough(self.spans):
            self._came.clear()
            await self._came.wait()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"\r\ncontent-length: *(\d+)\r\n", head.lower())
                assert length is not None, head
                self._take(head, await reader.readexactly(int(length[1])))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()

    def _take(self, head: bytes, body: bytes) -> None:
        assert head.startswith(b"POST /v1/traces HTTP/1.1\r\n"), head
        self.heads.append(head)
        self.received += body
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_span(service, sent) for sent in scope.spans]
        self._came.set()


@asynccontextmanager
async def running_collector() -> AsyncIterator[Collector]:
    collector = Collector()
    async with asyncio.TaskGroup() as group:
        serving: list[asyncio.Task[None]] = []
        server = await asyncio.start_server(
            lambda reader, writer: serving.append(group.create_task(collector.answer(reader, writer))),
            "127.0.0.1",
            0,
        )
        collector.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield collector
            for task in serving:
                task.cancel()


def _span(service: str, sent: SentSpan) -> CollectedSpan:
    return CollectedSpan(
        service=service,
        name=sent.name,
        kind=KINDS[sent.kind],
        trace=sent.trace_id.hex(),
        id=sent.span_id.hex(),
        parent=sent.parent_span_id.hex(),
        attributes=_attributes(sent.attributes),
        failed=sent.status.code == Status.STATUS_CODE_ERROR,
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in sent.links],
    )


def _attributes(sent: Sequence[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in sent}


def _value(sent: AnyValue) -> Any:
    kind = sent.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in sent.array_value.values]
    return getattr(sent, str(kind))
