"""Adds up the measurements of all replies since the start, for `/metrics`."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection

from gateway.contract.ended_reply import EndedReply
from gateway.telemetry.genai_names import PROVIDERS, ModelNames
from gateway.telemetry.histogram import TOKENS, Histogram

Operation = tuple[str, str]
"""Provider and model."""


class ReplyTotals:
    """Counts, durations and tokens of replies.

    Durations and tokens are those of replies that a transport generated. Times of chunks are those of replies
    that arrived token by token. So a cached, paced or resumed reply never adds a second time.

    Args:
        known_models: returns the models that the transports list. A caller's model that none lists is OTHER,
            because callers could otherwise make any number of time series.

    Attributes:
        replies: by reason, mode, dialect and transport.
        failed: number of replies that ended with an error.
        duration: by operation and error code; the code is empty for a reply without an error.
        first_chunk, output_chunk: by operation. All chunks of a reply count with their mean time: measuring
            each would cost at every token.
        input_tokens, output_tokens: by operation.
        input_sizes, output_sizes: tokens of single replies, by operation.
    """

    def __init__(self, known_models: Callable[[], Collection[str]] = tuple) -> None:
        self._names = ModelNames(known_models)
        self.replies: Counter[tuple[str, str, str, str]] = Counter()
        self.failed = 0
        self.duration: defaultdict[tuple[str, str, str], Histogram] = defaultdict(Histogram)
        self.first_chunk: defaultdict[Operation, Histogram] = defaultdict(Histogram)
        self.output_chunk: defaultdict[Operation, Histogram] = defaultdict(Histogram)
        self.input_tokens: Counter[Operation] = Counter()
        self.output_tokens: Counter[Operation] = Counter()
        self.input_sizes: defaultdict[Operation, Histogram] = defaultdict(lambda: Histogram(TOKENS))
        self.output_sizes: defaultdict[Operation, Histogram] = defaultdict(lambda: Histogram(TOKENS))

    def add(self, ended: EndedReply) -> None:
        """Add one reply."""
        self.replies[ended.reason, ended.mode, ended.dialect or "none", ended.transport] += 1
        self.failed += ended.error_code is not None
        if not ended.generated:
            return
        provider = PROVIDERS.get(ended.transport, ended.transport)
        operation = (provider, self._names.of(ended.model_asked, ended.model))
        self.duration[*operation, ended.error_code or ""].observe(ended.duration_s)
        # Without usage, 0 is added, so that the time series exists.
        usage = ended.usage
        self.input_tokens[operation] += 0 if usage is None else usage.prompt_tokens
        self.output_tokens[operation] += 0 if usage is None else usage.completion_tokens
        if usage is not None:
            self.input_sizes[operation].observe(usage.prompt_tokens)
            self.output_sizes[operation].observe(usage.completion_tokens)
        if ended.first_s is None or ended.delivery != "token":
            return
        self.first_chunk[operation].observe(ended.first_s)
        later = ended.chunks - 1
        if later > 0 and ended.is_complete:
            self.output_chunk[operation].observe((ended.duration_s - ended.first_s) / later, later)
