"""Table of medians: a row for each figure, a column for each peer and for the ratios between them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.measurement import Measurement

Rounds = Mapping[tuple[str, str], Sequence[Measurement]]  # by peer and scenario, one measurement a round


DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of a scenario's table.

    kind: "cost": of the target; `direct` has no target and shows none. "latency": shown as the difference
    to `direct`, and `direct`'s own value in brackets. "rate": shown as measured.
    """

    label: str
    kind: Literal["rate", "cost", "latency"]
    value: Callable[[Measurement], float]
    digits: int = 0


TOKENS_PER_S = Figure("tokens/s", "rate", lambda m: m.tokens_per_s)
REQUESTS_PER_S = Figure("requests/s", "rate", lambda m: m.requests_per_s)
CPU_PER_TOKEN = Figure("CPU µs/token", "cost", lambda m: m.cpu_us_per_token, 1)
CPU_PER_REQUEST = Figure("CPU ms/request", "cost", lambda m: m.cpu_ms_per_request, 3)
BUSIEST = Figure("CPU % in its busiest 2 s", "cost", lambda m: m.busiest_share * 100)
MEMORY = Figure("KiB/stream", "cost", lambda m: m.kib_per_stream)
FIRST_TOKEN_P50 = Figure("first token p50, ms", "latency", lambda m: m.load.first_token_ms.p50, 2)
FIRST_TOKEN_P99 = Figure("first token p99, ms", "latency", lambda m: m.load.first_token_ms.p99, 2)
TOKEN_P50 = Figure("token p50, ms", "latency", lambda m: m.load.relay_ms.p50, 2)
TOKEN_P99 = Figure("token p99, ms", "latency", lambda m: m.load.relay_ms.p99, 2)
LATENCIES = (TOKEN_P50, TOKEN_P99, FIRST_TOKEN_P50, FIRST_TOKEN_P99)
# Over MQTT a token is a frame, and the first helper is the broker.
BROKER = Figure("broker CPU µs/token", "cost", lambda m: m.helper_cpu_s[0] * 1e6 / max(1, m.load.tokens), 1)

FIGURES: Mapping[str, Sequence[Figure]] = {  # by the first two letters of the scenario's name
    "S1": (TOKENS_PER_S, CPU_PER_TOKEN),
    "S2": (TOKENS_PER_S, CPU_PER_TOKEN),
    "S3": (CPU_PER_TOKEN, BUSIEST, *LATENCIES, MEMORY),
    "S4": (REQUESTS_PER_S, CPU_PER_REQUEST),
    "B1": (FIRST_TOKEN_P50, FIRST_TOKEN_P99, TOKEN_P50, TOKEN_P99, CPU_PER_TOKEN),
    "M1": (CPU_PER_TOKEN, BUSIEST, *LATENCIES, MEMORY, BROKER),
    "M2": (CPU_PER_TOKEN, BUSIEST, *LATENCIES, MEMORY, BROKER),
    "M4": (REQUESTS_PER_S, CPU_PER_REQUEST, FIRST_TOKEN_P50, FIRST_TOKEN_P99),
}


def markdown_table(rounds: Rounds, *, subject: str, beside: Sequence[str] = ()) -> str:
    """A column for each peer, then one `subject ÷ reference` for each in `beside` that was measured."""
    peers = list(dict.fromkeys(peer for peer, _ in rounds))
    references = [name for name in beside if name in peers and subject in peers]
    rows = [["", *peers, *(f"{subject} ÷ {name}" for name in references)]]
    for scenario in dict.fromkeys(name for _, name in rounds):
        rows += [
            _row(scenario, figure, rounds, peers, subject, references) for figure in FIGURES[scenario[:2]]
        ]
    no_ratios = [""] * len(references)
    for label, total in TOTALS.items():
        per_peer = (
            [one for (of, _), measured in rounds.items() if of == peer for one in measured] for peer in peers
        )
        rows.append([label, *(f"{total(measured):,.0f}" for measured in per_peer), *no_ratios])
    return _aligned(rows)


TOTALS: Mapping[str, Callable[[Sequence[Measurement]], float]] = {
    "all: failed streams": lambda measured: sum(one.load.bad_streams for one in measured),
    "all: tokens lost or out of order": lambda measured: sum(one.load.bad_sequence for one in measured),
    "all: CPU % of other programs, median": lambda measured: statistics.median(
        one.foreign_share * 100 for one in measured
    ),
}


def _row(
    scenario: str,
    figure: Figure,
    rounds: Rounds,
    peers: Sequence[str],
    subject: str,
    references: Sequence[str],
) -> list[str]:
    medians = {peer: _median(rounds.get((peer, scenario), ()), figure) for peer in peers}
    direct = medians.get(DIRECT)
    label, cells = figure.label, {}
    if figure.kind == "latency" and direct is not None:
        label = f"added {figure.label}"
        medians = {peer: None if median is None else median - direct for peer, median in medians.items()}
        cells = {DIRECT: f"({_cell(direct, figure.digits)})"}
    elif figure.kind == "cost":
        cells = {DIRECT: ""}
    shown = [cells.get(peer, _cell(medians[peer], figure.digits)) for peer in peers]
    return [f"{scenario} {label}", *shown, *(_ratio(medians[subject], medians[name]) for name in references)]


def _median(measurements: Sequence[Measurement], figure: Figure) -> float | None:
    return statistics.median(map(figure.value, measurements)) if measurements else None


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _ratio(value: float | None, reference: float | None) -> str:
    if value is None or reference is None or reference <= 0:
        return "-"
    return f"{value / reference:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in rows
    ]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([lines[0], "| " + " | ".join(rule) + " |", *lines[1:]])


def one_line(peer: str, scenario: str, m: Measurement) -> str:
    """Return the line that is printed for a measurement during a run."""
    return (
        f"{peer:8} {scenario:5} {m.cpu_us_per_token:6.1f} µs/token {m.tokens_per_s:9,.0f} tokens/s"
        f" {m.requests_per_s:7,.0f} requests/s | p50/p99:"
        f" first token {m.load.first_token_ms.p50:.2f}/{m.load.first_token_ms.p99:.2f} ms,"
        f" token {m.load.relay_ms.p50:.2f}/{m.load.relay_ms.p99:.2f} ms"
        f" | {m.kib_per_stream:.0f} KiB/stream | bad {m.load.bad_streams}/{m.load.bad_sequence}"
        f" | others {m.foreign_share:.0%} {m.load.last_error}"
    )
