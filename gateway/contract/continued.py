"""A stored reply that the model continues, in the same message and the same stream."""

from msgspec import Struct

from gateway.contract.events import Usage
from gateway.contract.journal import Position

EPOCH_EVENTS = 1_000_000_000
"""More events than a reply has. A gateway that takes a reply over numbers its events from a multiple of it,
because the last number of the gateway before was lost in the crash."""


class ReplySoFar(Struct, frozen=True):
    """A reply up to the place where it goes on.

    Attributes:
        epoch: of its row when it was read; it must not have changed when the reply goes on.
        usage: None if the model server counted none.
        places: the positions at which it was continued, in order; at the last one it goes on now.
    """

    message_id: int
    uuid: str
    stream_id: str
    epoch: int
    content: str
    reasoning: str | None
    usage: Usage | None
    model: str | None
    places: tuple[Position, ...]

    @property
    def end(self) -> Position:
        return self.places[-1]


def end_of(last_seq: int | None, chars: int, epoch: int) -> Position:
    """Return the position after a stored reply.

    Args:
        last_seq: number of its terminal event; None if that was lost in a crash.
        chars: length of its text.
        epoch: number of times that it was taken over or continued.
    """
    return Position((epoch + 1) * EPOCH_EVENTS if last_seq is None else last_seq, chars)


def added(one: Usage | None, other: Usage | None) -> Usage | None:
    """Return the sum of both, with the speed of `other`. A part that was not counted adds nothing."""
    if one is None or other is None:
        return other or one
    return Usage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        one.total_tokens + other.total_tokens,
        other.tokens_per_s,
    )
