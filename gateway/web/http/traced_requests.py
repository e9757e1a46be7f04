"""A span for each request, except those of monitoring and of public pages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.contract.errors import GatewayError
from gateway.contract.traces import Traces
from gateway.web.http.asgi import App, Message, Receive, Scope, Send, header
from gateway.web.http.endpoint import METRICS, PUBLIC, endpoint_of

TRACE = "sluice.trace"
"""Key of the `traceparent` of the request's span in the ASGI scope."""

_TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class TracedRequests:
    """Begins a span below the caller's `traceparent`, and ends it with the response, a stream's when it is
    over. Chunks of a stream do not pass through here. A WebSocket has no span: each request on it has."""

    def __init__(self, app: App, traces: Traces) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = endpoint_of(scope)
        if scope["type"] != "http" or endpoint.scopes in (PUBLIC, METRICS):
            await self._app(scope, receive, send)
            return
        route = None if endpoint.method == "*" else endpoint.path
        span = self._traces.request(scope["method"], route, scope["path"], trace_of(scope))
        scope[TRACE] = span.trace
        status: int | None = None

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            status = status or 500
            raise
        finally:
            span.answered(status)


@contextmanager
def socket_request_span(traces: Traces, scope: Scope) -> Iterator[None]:
    """Make a span of a request on `/ws`, below the `traceparent` in its headers.

    scope: of the same request over HTTP. It gets the span's `traceparent`.
    """
    span = traces.request("WEBSOCKET", "/ws", "/ws", trace_of(scope))
    scope[TRACE] = span.trace
    status: int | None = None
    try:
        yield
    except GatewayError as error:
        status = error.status
        raise
    except Exception:
        status = 500
        raise
    finally:
        span.answered(status)


def trace_of(scope: Scope) -> str | None:
    """Return the `traceparent` of the request's span; without spans, that of the caller, or None if it is
    absent or invalid. Source: W3C Trace Context, 3.2."""
    if TRACE in scope:
        ours: str | None = scope[TRACE]
        return ours
    trace = header(scope, b"traceparent")
    return trace if trace is not None and _TRACEPARENT.fullmatch(trace) else None
