"""Simulates the loss of a zone: how long readers wait until other gateways have adopted their replies.

    python benchmarks/adoption_storm.py                       # the table of docs/scale.md
    python benchmarks/adoption_storm.py --gateways 300 --streams 4000 --batch 0

Nothing is started: the costs are those of docs/scale.md, measured elsewhere. Each gateway is one CPU. Live
tokens take a part of it; adoptions and returning readers wait in its queue for the rest. The database is
one more queue.
"""

import argparse
import heapq
import random
from collections import Counter
from dataclasses import dataclass, field

NOBODY = -1
MS = 1e-3
US = 1e-6


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds, of CPU if not told otherwise.

    Attributes:
        token: of a stream's token at its own gateway.
        relayed_token: of the gateway that passes on another one's stream.
        adopted: of adopting one reply, without what was generated before.
        replayed_token: of a token that the model server repeats.
        resumed: of a reader's request to resume.
        row: of the database for one row of a take-over.
        round_trip: of the database for a take-over, whatever its size; not CPU.
        noticed: least and most time from a death to the moment at which a gateway notices it; not CPU.
        retry: least and most time that a reader waits before it connects again; not CPU.
    """

    token: float = 45 * US
    relayed_token: float = 25 * US
    adopted: float = 0.6 * MS
    replayed_token: float = 15 * US
    resumed: float = 0.5 * MS
    row: float = 30 * US
    round_trip: float = 2 * MS
    noticed: tuple[float, float] = (3.0, 4.0)
    retry: tuple[float, float] = (0.1, 3.0)


@dataclass(frozen=True, slots=True)
class Setup:
    """A cluster in three zones, of which one is lost.

    Attributes:
        streams: of one gateway, before the loss.
        tokens_per_s: of one stream.
        said: tokens of a reply when the zone is lost, on average.
        batch: replies of one take-over; 0: all of a dead gateway.
    """

    gateways: int
    streams: int
    batch: int
    tokens_per_s: float = 10.0
    said: int = 150
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Waits of the lost zone's readers in seconds, and the gateways' shares of its replies.

    Attributes:
        busy_before, busy_after: part of a gateway's CPU that tokens take; after the loss, of the busiest one.
        fairness: replies of the gateway with the most adopted ones, divided by the mean.
    """

    waits: list[float]
    busy_before: float
    busy_after: float
    fairness: float

    def wait(self, part: float) -> float:
        return sorted(self.waits)[min(len(self.waits) - 1, int(part * len(self.waits)))]


class _Cpu:
    """One gateway after the loss. busy: part of its time that tokens take."""

    def __init__(self, busy: float) -> None:
        self._left = max(1.0 - busy, 0.02)
        self._free_at = 0.0

    def done_at(self, now: float, work: float) -> float:
        """Append work to the queue and return the time at which it is done."""
        self._free_at = max(self._free_at, now) + work / self._left
        return self._free_at


def simulate(setup: Setup, seed: int = 1) -> Outcome:
    chance, costs = random.Random(seed), setup.costs
    dead = setup.gateways // 3
    alive = setup.gateways - dead
    busy = setup.streams * setup.tokens_per_s * costs.token
    cpus = [_Cpu(busy) for _ in range(alive)]
    adoption = costs.adopted + setup.said * costs.replayed_token
    left, waits = [setup.streams] * dead, list[float]()
    adopted, load = Counter[int](), Counter[int]()
    database_free_at = 0.0
    # Time, gateway, and for a reader that can resume now: who has adopted its reply.
    events: list[tuple[float, int, int]] = [
        (chance.uniform(*costs.noticed), gateway, NOBODY) for gateway in range(alive)
    ]
    heapq.heapify(events)
    while events:
        now, gateway, owner = heapq.heappop(events)
        if owner != NOBODY:
            waits.append(cpus[gateway].done_at(now, costs.resumed))
            load[owner] += 1
            load[gateway] += 0 if gateway == owner else costs.relayed_token / costs.token
            continue
        of = next((each for each in range(dead) if left[each]), None)
        if of is None:
            continue
        count = min(left[of], setup.batch or left[of])
        left[of] -= count
        adopted[gateway] += count
        database_free_at = max(database_free_at, now) + count * costs.row
        taken_at = ready = database_free_at + costs.round_trip
        for _ in range(count):
            ready = cpus[gateway].done_at(taken_at, adoption)
            reader_at = chance.uniform(*costs.retry)
            heapq.heappush(events, (max(reader_at, ready), chance.randrange(alive), gateway))
        heapq.heappush(events, (ready, gateway, NOBODY))  # then it takes more
    most = max(load.values()) * setup.tokens_per_s * costs.token
    return Outcome(waits, busy, busy + most, max(adopted.values()) * alive / sum(adopted.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gateways", type=int)
    parser.add_argument("--streams", type=int, default=1000, help="of one gateway")
    parser.add_argument(
        "--batch", type=int, default=100, help="replies of one take-over; 0: all of a gateway"
    )
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if asked.gateways is not None:
        setups = [Setup(asked.gateways, asked.streams, asked.batch)]
    else:
        setups = [
            Setup(gateways, streams, batch)
            for gateways, streams in ((3, 1000), (30, 1000), (300, 1000), (750, 1340))
            for batch in (0, 100)
        ]
    columns = (
        "gateways",
        "streams",
        "batch",
        "p50 s",
        "p99 s",
        "longest s",
        "CPU before",
        "busiest after",
        "fairness",
    )
    print("|", " | ".join(columns), "|")
    print("|---" * len(columns) + "|")
    for setup in setups:
        told = simulate(setup, asked.seed)
        print(
            f"| {setup.gateways} | {setup.gateways * setup.streams:,} | {setup.batch or 'all'} "
            f"| {told.wait(0.5):.1f} | {told.wait(0.99):.1f} | {told.wait(1):.1f} "
            f"| {told.busy_before:.0%} | {told.busy_after:.0%} | {told.fairness:.1f} |"
        )


if __name__ == "__main__":
    main()
