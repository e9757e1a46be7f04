"""Replies that a gateway takes over from one that has died."""

from collections.abc import Sequence

from msgspec import Struct

from gateway.contract.exchanges import Exchange
from gateway.contract.reattach import Handle
from gateway.contract.store import StoredMessage


class OrphanedReply(Struct, frozen=True):
    """A running reply that now belongs to this gateway.

    Attributes:
        message: as it was stored last.
        exchange: with the epoch of this takeover.
        handle: names the reply at its generator.
    """

    user_id: str
    message: StoredMessage
    exchange: Exchange
    handle: Handle


class LeftReply(Struct, frozen=True):
    """A reply that was running when its gateway died."""

    session_id: int
    stream_id: str
    message_id: int
    question_id: int


class TakenOver(Struct, frozen=True):
    """The result of a takeover.

    Attributes:
        replies: those to continue; there may be more if there are any.
        interrupted: replies without a handle, which are marked as interrupted.
    """

    replies: Sequence[OrphanedReply]
    interrupted: Sequence[LeftReply]
