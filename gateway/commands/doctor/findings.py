"""The results of a check, and the protocol of checks."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.settings import Settings

Level = Literal["ok", "skipped", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check.

    Attributes:
        detail: what was found, as one line.
        fix: what to type, as one line; empty unless `level` is warning or failure.
    """

    level: Level
    detail: str
    fix: str = ""


Check = Callable[[Settings], Awaitable[Sequence[Finding]]]
"""Checks one part, changes nothing, and returns at least one finding."""


def ok(detail: str) -> Finding:
    return Finding("ok", detail)


def skipped(why: str) -> Finding:
    return Finding("skipped", why)


def warning(detail: str, fix: str) -> Finding:
    return Finding("warning", detail, fix)


def failure(detail: str, fix: str) -> Finding:
    return Finding("failure", detail, fix)
