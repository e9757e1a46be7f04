"""A reader like the browser's EventSource: it drops an incomplete frame together with its id."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

_RETRY = re.compile(rb"^retry: (\d+)\n", re.MULTILINE)


def kinds(events: Iterable[dict[str, Any]]) -> list[str]:
    """The events' types in order, equal neighbours once: a slow machine gets a text in fewer pieces."""
    return [type for type, _ in groupby(event["type"] for event in events)]


class EventSource:
    """Parses events of one or more connections.

    last_id: sent by the next connection. retry_ms: the last `retry:` field, if any.
    told: all events. chars: characters of text.
    """

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.retry_ms: int | None = None
        self.seqs: list[int] = []
        self.chars = 0
        self.told: list[dict[str, Any]] = []

    @property
    def text(self) -> str:
        return "".join(event["content"] for event in self.of_type("chunk"))

    @property
    def ends(self) -> list[dict[str, Any]]:
        """All terminal events."""
        return list(self.of_type("done", "error"))

    @property
    def ended(self) -> bool:
        return bool(self.told) and self.told[-1]["type"] in ("done", "error")

    @property
    def begun(self) -> bool:
        """True if any text arrived."""
        return self.chars > 0

    def of_type(self, *types: str) -> Iterator[dict[str, Any]]:
        return (event for event in self.told if event["type"] in types)

    def take(self, received: bytes) -> bytes:
        """Parse all complete frames and return the incomplete rest. `retry:` needs no blank line."""
        *frames, half = _RETRY.sub(self._wait_longer, received).split(b"\n\n")
        for frame in frames:
            self._hear(dict(_fields(frame)))
        return half

    def _wait_longer(self, retry: re.Match[bytes]) -> bytes:
        self.retry_ms = int(retry[1])
        return b""

    def _hear(self, fields: dict[str, str]) -> None:
        if "id" in fields:
            self.last_id = fields["id"]
            self.seqs.append(int(self.last_id.partition("-")[0]))
        if "data" in fields:
            event = json.loads(fields["data"])
            self.told.append(event)
            if event["type"] == "chunk":
                self.chars += len(event["content"])


def _fields(frame: bytes) -> Iterator[tuple[str, str]]:
    for line in frame.decode().split("\n"):
        name, colon, value = line.partition(": ")
        if name and colon:
            yield name, value
