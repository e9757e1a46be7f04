"""Drops uvicorn's log lines about malformed requests, which the RefusalLog has, and the tracebacks of
requests that it cancels at its end, of which it logs the number."""

import logging
from asyncio import CancelledError

_UVICORNS = frozenset(
    {
        "Invalid HTTP request received.",
        "Invalid UTF-8 sequence received from client.",
        "ASGI callable returned without completing handshake.",  # a handshake refused with a response
    }
)


class MalformedRequests(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        was_cancelled = record.exc_info is not None and isinstance(record.exc_info[1], CancelledError)
        return record.msg not in _UVICORNS and not was_cancelled
