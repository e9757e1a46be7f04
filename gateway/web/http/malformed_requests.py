"""Limits uvicorn's log lines about malformed requests to one a minute, and drops wrong ones."""

import logging
import time
from collections.abc import Callable

from gateway.web.http.connection_limits import Complaint

_UVICORNS = frozenset({"Invalid HTTP request received.", "Invalid UTF-8 sequence received from client."})

_WRONG = "ASGI callable returned without completing handshake."
"""uvicorn's line for each WebSocket whose handshake was refused with a response."""


class MalformedRequests(logging.Filter):
    """Log filter that replaces uvicorn's lines by their number. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._complaint = Complaint(clock)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg == _WRONG:
            return False
        if record.msg not in _UVICORNS:
            return True
        self._complaint.count("%d malformed requests were refused")
        return False
