"""A reader as browsers have it: what arrived is put together, half a frame and its id are thrown away."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class EventSource:
    """last_id: where the next connection shall go on. ends: every terminal event that was heard."""

    last_id: str | None = None
    text: str = ""
    tool_calls: list[str] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    ends: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return bool(self.ends)

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
        if "data" not in fields:
            return
        told = json.loads(fields["data"])
        if told["type"] == "chunk":
            self.text += told["content"]
        elif told["type"] == "tool_call":
            self.tool_calls.append(told["args"])
        elif told["type"] in ("done", "error"):
            self.ends.append(told)


def _fields(frame: bytes) -> list[tuple[str, str]]:
    lines = [line.decode() for line in frame.split(b"\n")]
    return [
        (name, value) for name, colon, value in (line.partition(": ") for line in lines) if name and colon
    ]
