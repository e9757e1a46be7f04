"""Copies of values. Those that each request or token makes are frozen Structs, which C makes (ADR 0056)."""

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

__all__ = ["replace"]

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import replace
else:

    def replace(value: T, **changes: Any) -> T:
        """As dataclasses.replace, also for a Struct."""
        if isinstance(value, msgspec.Struct):
            return msgspec.structs.replace(value, **changes)
        return dataclasses.replace(value, **changes)
