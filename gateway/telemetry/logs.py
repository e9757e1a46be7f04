"""Formats log records for standard error, as text lines or as JSON lines."""

import logging
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial

import msgspec

from gateway.contract.secrets import without_secrets
from gateway.telemetry.log_writer import LogWriter, write_all

# C0, DEL and C1, Unicode line separators, bidirectional controls, and surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    """Return the text without secrets, with every control character escaped."""
    text = without_secrets(text)
    if text.isprintable():  # then it has no control characters
        return text
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class JsonLines(logging.Formatter):
    """One JSON object per line: `time` (UTC), `level`, `logger`, `message`, and `error` with a traceback.

    The record's attribute `fields`, if it has one, adds its values that are not None.

    gateway: name of the process, added to each line unless it is empty.
    """

    def __init__(self, gateway: str = "") -> None:
        super().__init__()
        self._gateway = {"gateway": gateway} if gateway else {}

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **self._gateway,
        }
        if traceback := _traceback(self, record):
            told["error"] = traceback
        fields = {name: value for name, value in getattr(record, "fields", {}).items() if value is not None}
        carried = {
            name: without_secrets(value).encode(errors="backslashreplace").decode()
            if isinstance(value, str)
            else value
            for name, value in {**fields, **told}.items()
        }
        encoded = msgspec.json.encode(carried).decode()
        if encoded.isprintable():
            return encoded
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", encoded)


class TextLines(logging.Formatter):
    """Local date and time, level, logger and message. A traceback's lines are indented: none looks like a
    record.

    gateway: name of the process, which each line has before the message unless it is empty.
    """

    def __init__(self, gateway: str = "") -> None:
        super().__init__()
        self._gateway = f"[{gateway}] " if gateway else ""

    def format(self, record: logging.LogRecord) -> str:
        at = _second(int(record.created))
        message = f"{self._gateway}{one_line(_message(record))}"
        first = f"{at} {record.levelname:<7} {one_line(record.name)}: {message}"
        if not (traceback := _traceback(self, record)):
            return first
        return "\n".join([first, *(f"  {one_line(line)}" for line in traceback.split("\n"))])


class QueuedLines(logging.Handler):
    """Formats records in the calling thread; another thread writes them."""

    def __init__(self, write: Callable[[bytes], object], formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._writer = LogWriter(write, self._dropped_line)

    def emit(self, record: logging.LogRecord) -> None:
        # Warnings are not delayed, so that a crash right afterwards rarely loses them.
        self._writer.put(self._line(record), at_once=record.levelno >= logging.WARNING)

    def flush(self) -> None:
        """Wait up to LAST_LINES_S until all lines are written. logging calls it when the process ends."""
        self._writer.flush()

    def _line(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(errors="backslashreplace")

    def _dropped_line(self, count: int) -> bytes:
        message = f"{count} log lines were dropped: standard error is read too slowly"
        return self._line(logging.LogRecord("sluice.logs", logging.WARNING, __file__, 0, message, None, None))


def configure_logs(level: str, log_format: str, gateway: str = "") -> None:
    """Set up logging.

    Args:
        level: debug, info, warning or error.
        log_format: text or json.
        gateway: name of this process, if several write to the same log.
    """
    # No line tells these, nor the place in the source, and to find them out takes as long as to format it.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # as "Optimization" in Python's logging HOWTO says
    handler = QueuedLines(
        _standard_error(), JsonLines(gateway) if log_format == "json" else TextLines(gateway)
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("sluice").setLevel(level.upper())
    # uvicorn's line before this one says why.
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: record.msg != "Application startup failed. Exiting."
    )


def flush_logs() -> None:
    """Write all log lines now, so that they stand before output that is printed next."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def keep_standard_descriptors() -> None:
    """Open /dev/null for each of standard input, output and error that is closed.

    Otherwise the next file or socket would get its number, and output would be written into the database.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _standard_error() -> Callable[[bytes], object]:
    stream = sys.stderr
    if stream is None:
        return len
    try:
        return partial(write_all, stream.fileno())
    except (OSError, ValueError):  # a replaced sys.stderr without a descriptor
        return lambda data: stream.write(data.decode())


@lru_cache(maxsize=1)
def _second(since_epoch: int) -> str:
    """Return the local date and time; many lines are of one second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since_epoch))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - an argument's formatting may raise anything; the line must not be lost
        return f"{record.msg} (its arguments do not fit)"


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if not (record.exc_info or record.stack_info):
        return ""
    told = [formatter.formatException(record.exc_info)] if record.exc_info else []
    return "\n".join([*told, *([record.stack_info] if record.stack_info else [])])
