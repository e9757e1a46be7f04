"""What a model server counted of one reply."""

from gateway.contract.events import Usage, token_count, usage_of
from transports.llama.chunks import Timings, TokenUsage


class Measurements:
    """Usage, and llama.cpp's timings, which stand in where it was not asked for usage."""

    __slots__ = ("_timings", "_tokens_per_s", "_usage")

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._timings: Usage | None = None
        self._tokens_per_s: float | None = None

    def take_usage(self, told: TokenUsage) -> None:
        self._usage = _fuller(self._usage, usage_of(told.prompt_tokens, told.completion_tokens))

    def take_timings(self, told: Timings) -> None:
        cached, read = token_count(told.cache_n), token_count(told.prompt_n)
        prompt = None if cached is None or read is None else cached + read
        self._timings = _fuller(self._timings, usage_of(prompt, told.predicted_n))
        self._tokens_per_s = told.predicted_per_second

    def usage(self) -> Usage | None:
        """None where the server has not told both prompt and completion."""
        usage = self._usage or self._timings
        if usage is None:
            return None
        return usage_of(usage.prompt_tokens, usage.completion_tokens, tokens_per_s=self._tokens_per_s)


def _fuller(known: Usage | None, new: Usage | None) -> Usage | None:
    """Counts only grow: what is partial, or smaller than what is known, tells nothing."""
    if new is None or (known is not None and new.total_tokens < known.total_tokens):
        return known
    return new
