"""The faults of a campaign, what each may do to replies, and how long and how hard each phase is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "gateway killed, started again",
    "gateway killed, started after 10 s",
    "several gateways killed at once",
    "gateway frozen",
    "gateways stopped and started in turn",
    "gateway cut off from the database",
    "gateway cut off from the model server",
    "gateway cut off from the broker",
    "gateway cut off from everything",
    "PostgreSQL restarted",
    "PostgreSQL away for 10 s",
    "broker killed, started again",
    "broker frozen",
    "worker killed, started again",
    "worker frozen",
    "model server killed, started again",
]

Mode = Literal["sse", "mqtt"]

MAY_END: Mapping[Fault, frozenset[str]] = {
    "PostgreSQL restarted": frozenset({"storage_failed"}),
    "PostgreSQL away for 10 s": frozenset({"storage_failed"}),
    "worker killed, started again": frozenset({"worker_lost", "interrupted"}),
    "model server killed, started again": frozenset({"upstream_error", "interrupted"}),
}
"""Reasons for which a fault may end a resumable reply early, with an error. Without an entry: none."""

MAY_ASK_AGAIN: frozenset[Fault] = frozenset(
    (
        "worker killed, started again",
        "worker frozen",
        "model server killed, started again",
    )
)
"""Faults after which a question goes to another worker or server if no reader has seen an answer: the accept
of the first one may be lost."""

MAY_ASK_AGAIN_IF_CLASSIC: frozenset[Fault] = frozenset(
    ("broker killed, started again", "gateway cut off from the broker")
)
"""The same, for replies that cannot be resumed."""

_ALWAYS: tuple[tuple[Fault, int], ...] = (
    ("gateway killed, started again", 16),
    ("several gateways killed at once", 9),
    ("gateway killed, started after 10 s", 1),
    ("gateway frozen", 1),
    ("gateways stopped and started in turn", 1),
    ("gateway cut off from the database", 1),
    ("gateway cut off from everything", 1),
    ("PostgreSQL restarted", 1),
    ("PostgreSQL away for 10 s", 1),
)
_OF_MODELS: tuple[tuple[Fault, int], ...] = (
    ("gateway cut off from the model server", 1),
    ("model server killed, started again", 2),
)
_OF_WORKERS: tuple[tuple[Fault, int], ...] = (
    ("gateway cut off from the broker", 1),
    ("broker killed, started again", 4),
    ("broker frozen", 1),
    ("worker killed, started again", 3),
    ("worker frozen", 1),
)
BY_MODE: tuple[tuple[Mode, tuple[tuple[Fault, int], ...]], ...] = (
    ("sse", (*_ALWAYS, *_OF_MODELS)),
    ("mqtt", (*_ALWAYS, *_OF_WORKERS)),
)
"""The phases of a whole campaign, each with the number of its faults."""

FOR_ONE = ("gateway killed", "broker", "worker", "model")
"""Beginnings of the faults that a campaign with one gateway makes."""


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
        words: least and most words of a reply.
        pause_s: least and most seconds between two faults.
    """

    seed: int
    gateways: int
    phases: Sequence[Phase]
    words: tuple[int, int] = (8, 60)
    pause_s: tuple[float, float] = (0.2, 1.0)

    @property
    def cuts(self) -> bool:
        """True if links are cut: then each gateway runs in a network namespace of its own."""
        return any("cut off" in phase.fault for phase in self.phases)

    @property
    def has_workers(self) -> bool:
        return any(phase.mode == "mqtt" for phase in self.phases)
