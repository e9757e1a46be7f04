"""Reads the vectors in this folder and checks their format."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROLES = ("gateway", "worker", "device")
ALL_VERSIONS = ("5", "3.1.1")

VERBS: dict[str, set[str]] = {
    "publish": {"payload", "raw", "retain", "qos"},
    "next": {"payload", "within_ms"},
    "later": {"payload", "within_ms"},
    "quiet": {"payload", "for_ms"},
    "reply": {"id", "text", "last", "within_ms"},
    "known": {"within_ms"},
    "ask": {"content", "model"},
    "embed": {"input", "model"},
    "hears": {"text", "event", "within_ms"},
    "ends": {"event", "within_ms"},
    "stop": set(),
    "take_over": set(),
    "terminate": set(),
    "dropped": set(),
}
"""Fields that a step may have, by the step's verb."""

Step = Mapping[str, Any]


class NotAVector(ValueError):
    """The file does not follow the format."""


@dataclass(frozen=True, eq=False)
class Vector:
    """One scenario. README.md describes the fields."""

    name: str
    role: str
    does: str
    rules: Sequence[int]
    steps: Sequence[Step]
    before: Sequence[Step] = ()
    mqtt: Sequence[str] = ALL_VERSIONS
    needs: Sequence[str] = ()
    subscribe: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def filters(self) -> Sequence[str]:
        """Topic filters of the counterpart."""
        if self.subscribe:
            return self.subscribe
        if self.role == "worker":
            return ["$root/workers/$worker/status", "$root/gateways/+/replies/+"]
        filters = ["$root/gateways/$gateway/status", "$root/workers/+/inbox"]
        return filters + ["$root/devices/+/down"] * (self.role == "device")


def read_vector(path: Path) -> Vector:
    """Read and check one file. Raises NotAVector if it does not follow the format."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        vector = Vector(name=path.stem, role=path.parent.name, **fields)
    except (TypeError, ValueError) as exc:
        raise NotAVector(f"{path}: {exc}") from exc
    if not re.fullmatch("([A-Z0-9][A-Za-z0-9]*)_([A-Z0-9][A-Za-z0-9]*)", vector.name):
        raise NotAVector(f"{path}: the name is not Situation_Expected")
    if not set(vector.mqtt) <= set(ALL_VERSIONS):
        raise NotAVector(f"{path}: mqtt is not of {ALL_VERSIONS}")
    for step in (*vector.before, *vector.steps):
        verb = next(iter(step), "")
        unknown = set(step) - {verb} - VERBS.get(verb, set(step))
        if verb not in VERBS or unknown:
            raise NotAVector(f"{path}: {verb or 'an empty step'} {sorted(unknown)}")
    return vector


def read_vectors(*roles: str) -> list[Vector]:
    """Return all vectors of these roles, sorted by name."""
    return [read_vector(path) for role in roles for path in sorted((FOLDER / role).glob("*.json"))]
