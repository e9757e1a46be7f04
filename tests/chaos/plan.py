"""The faults of a campaign, and how long and how hard each phase is."""

from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "gateway killed, started again",
    "gateway killed, started after 10 s",
    "gateway frozen",
    "gateways stopped and started in turn",
    "gateway cut off from the database",
    "gateway cut off from the model server",
    "gateway cut off from everything",
    "PostgreSQL restarted",
    "broker killed, started again",
    "worker killed, started again",
    "model server killed, started again",
]

Mode = Literal["sse", "mqtt"]

ENDS_REPLIES: frozenset[Fault] = frozenset(
    ("worker killed, started again", "model server killed, started again")
)
"""Faults that may end replies early, with an honest error; after all others each reply must be complete."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One fault, repeated `times` times under `streams` open streams in one mode."""

    fault: Fault
    mode: Mode
    times: int
    streams: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign.

    Attributes:
        seed: of everything that is drawn.
        gateways: number of gateways; one uses SQLite, several share a PostgreSQL.
        namespaces: run each gateway in a network namespace of its own, so that links can be cut; needs root.
        words: least and most words of a reply.
        pause_s: least and most seconds between two faults.
    """

    seed: int
    gateways: int
    phases: tuple[Phase, ...]
    namespaces: bool = False
    words: tuple[int, int] = (60, 400)
    pause_s: tuple[float, float] = (0.3, 2.0)
