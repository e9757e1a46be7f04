"""Parses JSON objects without the leniency of `json`: two readers of one text must see the same values."""

import json
from typing import Any


def strict_object(text: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises ValueError for anything else, also for duplicate names, NaN, Infinity, and
    too many nested values."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
