"""A histogram of plain numbers, which a scrape reads."""

from bisect import bisect_left
from collections.abc import Sequence

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""OpenTelemetry's boundaries for durations of GenAI operations."""

TOKENS = tuple(float(4**power) for power in range(14))
"""OpenTelemetry's boundaries for numbers of tokens."""


class Histogram:
    """Attributes: `sum` of all values."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self._counts[bisect_left(self._bounds, value)] += times
        self.sum += value * times

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulative counts by upper bound, `+Inf` last."""
        total = 0
        told: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            told.append((bound, total))
        return told
