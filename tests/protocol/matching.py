"""Placeholders of vectors: `$name` takes the first value that it is matched with, and keeps it."""

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

_PLACEHOLDER = re.compile(r"\$[a-z_0-9]+")
ANY, ABSENT = "$any", "$absent"


class Mismatch(AssertionError):
    """A message differs from the vector's."""


class Names:
    """Values of the placeholders. A placeholder is a whole string, or a whole topic level."""

    def __init__(self, **known: str) -> None:
        self._values: dict[str, Any] = {f"${name}": value for name, value in known.items()}

    def filled(self, value: Any) -> Any:
        """Return `value` with its placeholders replaced; one without a value gets 32 random hex digits."""
        if isinstance(value, str):
            return "/".join(self._level(level) for level in value.split("/"))
        if isinstance(value, Mapping):
            return {name: self.filled(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.filled(part) for part in value]
        return value

    def _level(self, level: str) -> str:
        if _PLACEHOLDER.fullmatch(level):
            return str(self._values.setdefault(level, uuid4().hex))
        return level

    def payload(self, step: Mapping[str, Any]) -> bytes:
        """Return the bytes that a `publish` step sends: `payload` as JSON, or the parts of `raw`."""
        if "payload" in step:
            return json.dumps(self.filled(step["payload"]), ensure_ascii=False).encode()
        return b"".join(self._raw(part) for part in step.get("raw", []))

    def _raw(self, part: Any) -> bytes:
        if isinstance(part, str):
            return str(self.filled(part)).encode()
        if "hex" in part:
            return bytes.fromhex(part["hex"])
        return str(part["text"]).encode() * int(part["times"])

    def match(self, pattern: Any, actual: Any, at: str = "$") -> None:
        """Raise Mismatch unless `actual` has everything in `pattern`. It may have more fields."""
        if isinstance(pattern, Mapping):
            if not isinstance(actual, Mapping):
                raise Mismatch(f"{at}: {_short(actual)} is no object")
            for name, part in pattern.items():
                if part == ABSENT:
                    if actual.get(name) is not None:
                        raise Mismatch(f"{at}.{name} is there: {_short(actual[name])}")
                elif name not in actual:
                    raise Mismatch(f"{at}.{name} is missing in {_short(actual)}")
                else:
                    self.match(part, actual[name], f"{at}.{name}")
        elif isinstance(pattern, list):
            if not isinstance(actual, list) or len(actual) != len(pattern):
                raise Mismatch(f"{at}: {_short(actual)} instead of {_short(pattern)}")
            for position, (part, value) in enumerate(zip(pattern, actual, strict=True)):
                self.match(part, value, f"{at}[{position}]")
        elif pattern != ANY:
            self._match_value(pattern, actual, at)

    def _match_value(self, pattern: Any, actual: Any, at: str) -> None:
        if isinstance(pattern, str) and _PLACEHOLDER.fullmatch(pattern):
            pattern = self._values.setdefault(pattern, actual)
        elif isinstance(pattern, str):
            pattern = self.filled(pattern)
        if pattern != actual or isinstance(pattern, bool) is not isinstance(actual, bool):
            raise Mismatch(f"{at} is {_short(actual)} instead of {_short(pattern)}")


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)[:200]
