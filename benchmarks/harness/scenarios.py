"""The benchmark's loads, by name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load.

    streams: concurrent streams. tokens_per_s: of each stream; 0: as fast as possible.
    ramp_s: duration in which the first streams start.
    """

    about: str
    streams: int
    requests: int
    tokens: int
    tokens_per_s: int = 0
    ramp_s: float = 0
    extra: str = ""

    @property
    def marker(self) -> str:
        """Text in the prompt by which the fake model recognizes the scenario; see src/token.h."""
        return f"[[n={self.tokens} r={self.tokens_per_s}{self.extra}]]"


WARM_UP = Scenario("", streams=2, requests=20, tokens=20)

OVER_HTTP = {
    "S1": Scenario("one stream, flat out", 1, 5, 20_000),
    "S1x": Scenario("the same, longer, for fast gateways", 1, 40, 20_000),
    "S2": Scenario("100 streams, flat out", 100, 100, 500),
    "S2x": Scenario("the same, longer", 100, 1000, 500),
    "S3": Scenario("500 streams at 20 tokens/s", 500, 500, 200, 20, ramp_s=4),
    "S3a": Scenario("the same, all tokens on the same ticks", 500, 500, 200, 20, ramp_s=4, extra=" a=1"),
    "S3burst": Scenario("the same, all 500 arrive at once", 500, 500, 200, 20),
    "S3lo": Scenario("100 streams at 20 tokens/s", 100, 100, 200, 20, ramp_s=2),
    "S3hi": Scenario("1,500 streams at 20 tokens/s", 1500, 1500, 200, 20, ramp_s=6),
    "S3xl": Scenario("4,000 streams at 20 tokens/s", 4000, 4000, 200, 20, ramp_s=8),
    "S4": Scenario("short requests, 50 at a time", 50, 2000, 10),
    "S4x": Scenario("the same, longer", 50, 20_000, 10),
    "B1": Scenario("one stream of 64 tokens at 50 tokens/s, again and again", 1, 8, 64, 50),
    "B128": Scenario("the same, 128 arrive at once", 128, 256, 64, 50),
}

OVER_MQTT = {
    "M1": Scenario("100 streams at 50 tokens/s", 100, 100, 500, 50, ramp_s=2),
    "M2": Scenario("500 streams at 20 tokens/s", 500, 500, 200, 20, ramp_s=4),
    "M4": Scenario("short whole answers, 50 at a time", 50, 2000, 10, extra=" w=1"),
}
