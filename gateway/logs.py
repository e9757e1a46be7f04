"""Log lines on standard error: one per event, as text for people or JSON for machines."""

import logging
import re
from datetime import UTC, datetime

import msgspec

_SECRETS = re.compile(r"\bsk-[\w-]{16,}|(?<=ticket=)[\w.%-]+")


def without_secrets(line: str) -> str:
    """The line with `…` for what looks like one of our keys or tickets."""
    return _SECRETS.sub("…", line)


class JsonLines(logging.Formatter):
    """One JSON object per line: `time` (UTC), `level`, `logger`, `message`, and `error` with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return without_secrets(msgspec.json.encode(told).decode())


class TextLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        # What a client sent may be in a message: it must not fake a second line.
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


def configure_logs(level: str, log_format: str) -> None:
    """level: debug, info, warning or error; log_format: text or json."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("sluice").setLevel(level.upper())
    # Its line before this one has said why.
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: record.msg != "Application startup failed. Exiting."
    )
