"""Finds JSON schemas that a model server would expand to too many alternatives.

Source: llama.cpp converts a schema to a grammar. A few definitions that refer to each other several times
expand to more alternatives than any server can hold in memory. Cost of an alternative: grammar_ambiguity.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.contract.grammar_limits import MAX_BEGINNINGS

MAX_REFERENCES = 100
"""Maximum length of a chain of schemas of which each refers to the next."""

MAX_ROOTS = 8
"""Maximum number of root schemas around one another in which a reference is looked up: the outermost."""

MAX_PATH = 64
"""Maximum number of names in a reference; values are not nested deeper."""

_ROOTS = frozenset({"schema", "json_schema", "parameters", "input_schema", "guided_json", "json"})
"""Names of fields whose value is a separate schema: within it, `#` refers to this schema."""

_Roots = tuple[Mapping[str, Any], ...]


def schema_problem(value: Any) -> str | None:
    """Return why the schemas in `value` must not be sent, as the end of a sentence; None if they may.

    value: decoded JSON, nested at most model_limits.MAX_JSON_DEPTH levels: this function recurses.
    """
    counted: dict[int, int] = {}
    for schema, roots in _objects(value, ()):
        ways = _ways(schema, roots, counted, 0)
        if ways is None:
            return f"has a chain of more than {MAX_REFERENCES} references"
        if ways > MAX_BEGINNINGS:
            return f"has a schema with more than {MAX_BEGINNINGS} alternatives, its references written out"
    return None


def _objects(value: Any, roots: _Roots) -> Iterator[tuple[Mapping[str, Any], _Roots]]:
    """Yield every object with the root schemas that contain it, the innermost root first."""
    if isinstance(value, Mapping):
        roots = roots or (value,)
        yield value, roots
        for name, item in value.items():
            is_root = name in _ROOTS and isinstance(item, Mapping)
            yield from _objects(item, (item, *roots)[-MAX_ROOTS:] if is_root else roots)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _objects(item, roots)


def _ways(schema: Any, roots: _Roots, counted: dict[int, int], depth: int) -> int | None:
    """Return the number of alternatives of a schema; None if a chain exceeds MAX_REFERENCES."""
    if not isinstance(schema, Mapping):
        return 1
    if (known := counted.get(id(schema))) is not None:
        return known
    if depth > MAX_REFERENCES:
        return None
    counted[id(schema)] = 1  # ends the recursion if it refers to itself: model servers refuse such schemas
    total = 0
    for name in ("enum", "type"):
        if isinstance(listed := schema.get(name), list | tuple):
            total += len(listed)
    parts = [part for name in ("anyOf", "oneOf", "allOf") if isinstance(schema.get(name), list | tuple)
             for part in schema[name]]  # fmt: skip
    if isinstance(reference := schema.get("$ref"), str):
        parts += _targets(reference, roots)
    for part in parts:
        ways = _ways(part, roots, counted, depth + 1)
        if ways is None:
            return None
        total += ways
    counted[id(schema)] = max(1, total)
    return counted[id(schema)]


def _targets(reference: str, roots: _Roots) -> Iterator[Any]:
    """Yield the schema at `#/...` in each root that has it: which one a model server means is not known."""
    if reference.count("/") > MAX_PATH:
        return
    path = [name.replace("~1", "/").replace("~0", "~") for name in reference.split("/")[1:]]
    for root in roots:
        found: Any = root
        for name in path:
            if isinstance(found, Mapping):
                found = found.get(name)
            elif isinstance(found, list | tuple) and name.isascii() and name.isdecimal() and len(name) < 6:
                found = found[int(name)] if int(name) < len(found) else None
            else:
                found = None
                break
        if found is not None:
            yield found
