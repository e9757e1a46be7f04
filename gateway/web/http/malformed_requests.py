"""Drops uvicorn's log lines about malformed requests: the RefusalLog has them."""

import logging

_UVICORNS = frozenset(
    {
        "Invalid HTTP request received.",
        "Invalid UTF-8 sequence received from client.",
        "ASGI callable returned without completing handshake.",  # a handshake refused with a response
    }
)


class MalformedRequests(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg not in _UVICORNS
