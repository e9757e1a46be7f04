"""Limits uvicorn's log lines about malformed requests to one a minute."""

import logging
import time
from collections.abc import Callable

from gateway.web.http.connection_limits import Complaint

_UVICORNS = "Invalid HTTP request received."


class MalformedRequests(logging.Filter):
    """Log filter that replaces uvicorn's lines by their number. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._complaint = Complaint(clock)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg != _UVICORNS:
            return True
        self._complaint.count("%d malformed requests were refused")
        return False
