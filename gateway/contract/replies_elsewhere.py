"""The interface to replies that other gateways on the database make."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from gateway.contract.authors import Author
from gateway.contract.events import ReaderEvent


class RunningReply(Struct, frozen=True):
    """A reply whose row has the status `streaming`, at whatever gateway.

    Attributes:
        asked_by: see ReplyBegan.
    """

    stream_id: str
    message_id: int
    question_id: int
    asked_by: Author | None = None


class RepliesElsewhere(Protocol):
    async def in_session(self, session_id: int) -> Sequence[RunningReply]:
        """Return the running replies of a session that other gateways make, the oldest first.

        Raises StorageFailed.
        """
        ...

    def reading(self, stream_id: str, user_id: str) -> AsyncIterator[Sequence[ReaderEvent]]:
        """Read a reply from its first event on, at the gateway that makes it.

        The iterator ends after the terminal event. It raises NotFound if no other gateway makes the reply, or
        not any more, and Unreachable if its gateway does not answer or breaks off.
        """
        ...
