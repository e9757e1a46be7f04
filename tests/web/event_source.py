"""A reader as browsers have it: what arrived is put together, half a frame and its id are thrown away."""

import json
from collections.abc import Iterator
from typing import Any


class EventSource:
    """last_id: where the next connection shall go on. retry_ms: when, if it was told. told: every event.
    chars: of text."""

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
        """Every terminal event that was heard."""
        return list(self.of_type("done", "error"))

    @property
    def ended(self) -> bool:
        return bool(self.told) and self.told[-1]["type"] in ("done", "error")

    @property
    def begun(self) -> bool:
        """Whether any text was heard."""
        return self.chars > 0

    def of_type(self, *types: str) -> Iterator[dict[str, Any]]:
        return (event for event in self.told if event["type"] in types)

    def take(self, received: bytes) -> bytes:
        """Read all whole frames of one connection; what is left is half a one."""
        *frames, half = received.split(b"\n\n")
        for frame in frames:
            self._hear(dict(_fields(frame)))
        return half

    def _hear(self, fields: dict[str, str]) -> None:
        if "id" in fields:
            self.last_id = fields["id"]
            self.seqs.append(int(self.last_id.partition("-")[0]))
        if "retry" in fields:
            self.retry_ms = int(fields["retry"])
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
