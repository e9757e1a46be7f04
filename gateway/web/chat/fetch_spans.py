"""The span of a read by another request than the one that asked."""

from contextlib import AbstractContextManager, nullcontext

from gateway.contract.errors import NotFound
from gateway.contract.journal import START, Position
from gateway.contract.traces import Fetch
from gateway.web.http.asgi import Scope
from gateway.web.http.traced_requests import trace_of
from gateway.web.services import Services


def fetching(
    gateway: Services, scope: Scope, stream_id: str, user_id: str, after: Position
) -> AbstractContextManager[None]:
    """Return the span of a read by another request than the one that asked."""
    is_read = scope["method"] == "GET" or (scope["method"] == "POST" and after != START)
    if not gateway.traces.enabled or not is_read:
        return nullcontext()
    try:
        run = gateway.runs.find(stream_id, user_id)
    except NotFound:
        run = None
    production = None if run is None else run.production
    return gateway.traces.fetching(
        Fetch(
            stream_id=stream_id,
            trace=trace_of(scope),
            reply=None if run is None else run.span.trace,
            transport=None if production is None else production().mode,
            cursor=None if after == START else f"{after.seq}-{after.chars}",
        )
    )
