"""Prints each place where a dashboard on standard input does not fit Grafana's schema: nothing if it fits.

It needs the packages of packages.lock. Grafana generates grafana-foundation-sdk from its schema. Its classes
ignore unknown names and do not check types, so both are checked here.
"""

import enum
import json
import sys
import typing
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def unknown(given: Any, kept: Any, at: str = "dashboard") -> typing.Iterator[str]:
    """Yield the members that the schema's classes did not keep."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            if name in kept:
                yield from unknown(value, kept[name], f"{at}.{name}")
            else:
                yield f"{at}.{name}: unknown"
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, (value, other) in enumerate(zip(given, kept, strict=True)):
            yield from unknown(value, other, f"{at}[{index}]")
    elif given != kept:
        yield f"{at}: {given!r} is read as {kept!r}"


def misfits(value: Any, at: str = "dashboard") -> typing.Iterator[str]:
    """Yield the values that are not of the type that the schema's class names."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from misfits(each, f"{at}[{index}]")
    elif type(value).__module__.startswith("grafana_foundation_sdk.models") and not isinstance(
        value, enum.Enum
    ):
        names = vars(sys.modules[type(value).__module__])
        for name, hint in typing.get_type_hints(type(value), names).items():
            member = getattr(value, name)
            if not fits(member, hint):
                yield f"{at}.{name}: {member!r} is not {hint}"
            yield from misfits(member, f"{at}.{name}")


def fits(value: Any, hint: Any) -> bool:
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if hint is object or hint is Any:
        return True
    if origin is typing.Union:
        return any(fits(value, choice) for choice in choices)
    if origin is typing.Literal:
        return value in choices
    if origin is list:
        return isinstance(value, list) and all(fits(each, choices[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(each, choices[1]) for each in value.values())
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return value in [member.value for member in hint]
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


register_default_plugins()
given = json.load(sys.stdin)
dashboard = Dashboard.from_json(given)
kept = json.loads(JSONEncoder(sort_keys=True).encode(dashboard))
sys.stdout.write("\n".join([*unknown(given, kept), *misfits(dashboard)]))
