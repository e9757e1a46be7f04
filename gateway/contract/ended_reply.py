"""Measurements of one reply at its end, for metrics and the log."""

from collections.abc import Callable

from msgspec import Struct

from gateway.contract.events import Delivery, Reason, Usage


class EndedReply(Struct, frozen=True):
    """One reply that has ended.

    Attributes:
        error_code: `code` of the error of a failed reply.
        error: its message; empty without an error.
        mode: the gateway's mode when the reply began.
        transport: that answered last, or "cache".
        dialect: name of the client's dialect; empty if it has none.
        generated: True if a transport got the request; False for a reply from the cache.
        model_asked: the model that the client named; any text.
        model: the model that the server named; llama.cpp repeats what the client named.
        usage: None if the model server sent none.
        duration_s: from the question to the end of the generation, without pacing.
        first_s: from the question to the first content; None without content, and if another gateway had the
            reply then and did not store it.
        chunks: number of reads with content of a reply that arrived token by token here from its beginning,
            else 0.
        is_complete: True if the transport delivered the whole reply.
    """

    reason: Reason
    error_code: str | None
    mode: str
    transport: str
    dialect: str
    delivery: Delivery
    generated: bool
    model_asked: str | None
    model: str | None
    usage: Usage | None
    duration_s: float
    first_s: float | None
    chunks: int
    is_complete: bool
    error: str = ""


OnEnded = Callable[[EndedReply], None]
