"""Finds JSON schemas that a model server would expand without end, before they are sent.

Source: llama.cpp makes a grammar of a schema. A few definitions that refer to each other several times become
more alternatives than any server can hold; what an alternative costs: ambiguity.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.contract.grammars import MAX_BEGINNINGS

MAX_REFERENCES = 100
"""In a chain in which each only refers to the next."""

_ROOTS = frozenset({"schema", "json_schema", "parameters", "input_schema", "guided_json", "json"})
"""Names of fields whose value is a schema of its own: `#` means that one."""

_Roots = tuple[Mapping[str, Any], ...]


def schema_problem(value: Any) -> str | None:
    """Why no model server should get the schemas in `value`; None if nothing speaks against them.

    value: JSON that is not nested too deep for a recursion.
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
    """Every object, with the schemas around it, from inside to outside."""
    if isinstance(value, Mapping):
        roots = roots or (value,)
        yield value, roots
        for name, item in value.items():
            is_root = name in _ROOTS and isinstance(item, Mapping)
            yield from _objects(item, (item, *roots) if is_root else roots)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _objects(item, roots)


def _ways(schema: Any, roots: _Roots, counted: dict[int, int], depth: int) -> int | None:
    """How many alternatives a schema has; None where references follow each other without end."""
    if not isinstance(schema, Mapping):
        return 1
    if (known := counted.get(id(schema))) is not None:
        return known
    if depth > MAX_REFERENCES:
        return None
    counted[id(schema)] = 1  # of one that refers to itself: model servers refuse those
    total = 0
    for name in ("enum", "type"):
        if isinstance(listed := schema.get(name), list | tuple):
            total += len(listed)
    parts = [part for name in ("anyOf", "oneOf", "allOf") if isinstance(schema.get(name), list | tuple)
             for part in schema[name]]  # fmt: skip
    if isinstance(reference := schema.get("$ref"), str):
        parts.append(_target(reference, roots))
    for part in parts:
        ways = _ways(part, roots, counted, depth + 1)
        if ways is None:
            return None
        total += ways
    counted[id(schema)] = max(1, total)
    return counted[id(schema)]


def _target(reference: str, roots: _Roots) -> Any:
    """The schema that `#/...` names in the innermost root that has it; None if none has."""
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
        if found is not None:
            return found
    return None
