"""Embeddings: the request for them, and the vectors that a model server or a worker answers."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

Input = str | Sequence[int]
"""One text, or one list of the model's own token ids."""


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """A request for the vectors of one or more inputs.

    Attributes:
        inputs: at least one.
        model: None, or a name that no transport lists, means the default model.
        dimensions: length of the vectors, for models that can shorten them; None for the model's own.
        deadline_s: maximum seconds for all vectors together.
        trace: a W3C `traceparent`.
        broke_off: servers that received this request and then disconnected; see `ask_again`.
    """

    inputs: Sequence[Input]
    model: str | None = None
    dimensions: int | None = None
    deadline_s: float = 120.0
    trace: str | None = None
    broke_off: int = 0


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The vectors of a request.

    Attributes:
        vectors: one for each input, in their order; arrays of 32-bit floats, all finite.
        model: the model that made them; None if unknown.
        prompt_tokens: number of tokens of all inputs; None if unknown.
    """

    vectors: Sequence["array[float]"]
    model: str | None = None
    prompt_tokens: int | None = None
