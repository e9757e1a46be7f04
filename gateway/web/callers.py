"""Who asks: the door puts a caller into the request's scope, and every endpoint takes it from there."""

from dataclasses import dataclass
from typing import Literal

from gateway.web.asgi import Scope

Permission = Literal["chat", "admin", "metrics"]
ALL_PERMISSIONS: frozenset[Permission] = frozenset({"chat", "admin", "metrics"})

CALLER = "sluice.caller"
"""The scope's entry for the Caller."""


@dataclass(frozen=True, slots=True)
class Caller:
    user_id: str
    permissions: frozenset[Permission] = ALL_PERMISSIONS


LOCAL = Caller("local")
"""Everybody, while nobody has keys."""


def caller_of(scope: Scope) -> Caller:
    caller: Caller = scope.get(CALLER, LOCAL)
    return caller
