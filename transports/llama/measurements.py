"""Token counts and timings of one reply, as its model server reports them."""

from gateway.contract.events import Usage, token_count, usable_rate, usage_of
from transports.llama.chunks import Timings, TokenUsage


class Measurements:
    """Usage of one reply, from `usage` or, if that is missing, from llama.cpp's `timings`."""

    __slots__ = ("_timings", "_tokens_per_s", "_usage")

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._timings: Usage | None = None
        self._tokens_per_s: float | None = None

    def take(self, usage: TokenUsage | None, timings: Timings | None) -> None:
        """Note the counts of one chunk, which has most often none."""
        if usage is not None:
            self._usage = _fuller(self._usage, usage_of(usage.prompt_tokens, usage.completion_tokens))
        if timings is not None:
            self._tokens_per_s = timings.predicted_per_second
            if self._usage is None:
                cached, read = token_count(timings.cache_n), token_count(timings.prompt_n)
                prompt = None if cached is None or read is None else cached + read
                self._timings = _fuller(self._timings, usage_of(prompt, timings.predicted_n))

    def usage(self) -> Usage | None:
        """The usage; None if the server has not reported both prompt and completion."""
        usage = self._usage or self._timings
        if usage is None:
            return None
        rate = usable_rate(self._tokens_per_s)
        return Usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, rate)


def _fuller(known: Usage | None, new: Usage | None) -> Usage | None:
    """Return the more complete counts. Counts only grow, so partial or smaller new ones are ignored."""
    if new is None or (known is not None and new.total_tokens < known.total_tokens):
        return known
    return new
