"""Which gateway makes a running reply, where several share a database."""

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from gateway.contract.replies_elsewhere import RunningReply


class ReplyOwner(Struct, frozen=True):
    """The gateway that makes a running reply.

    Attributes:
        name: `GATEWAY_NAME/incarnation`, as in the reply's row.
        url: base address at which other gateways reach it; None if it has none, or does not live any more.
        is_me: True for this gateway itself.
    """

    name: str
    url: str | None
    is_me: bool


class ReplyElsewhere(Struct, frozen=True):
    """A running reply of another gateway, by its row.

    Attributes:
        user_id: the owner of its session.
        mode: of its transport at the beginning.
        age_s: seconds since the question.
        chars: length of the text that is stored so far, about once a second.
        gateway: name of its owner, without the incarnation.
    """

    stream_id: str
    user_id: str
    session_id: int
    session_key: str
    mode: str | None
    age_s: float
    chars: int
    gateway: str


class ReplyOwners(Protocol):
    """Each method raises StorageFailed."""

    async def of_reply(self, stream_id: str) -> ReplyOwner | None:
        """Return the owner of a reply; None if the reply does not run."""
        ...

    async def in_session(self, session_id: int) -> ReplyOwner | None:
        """Return the owner of the session's latest running reply; None if none runs."""
        ...

    async def elsewhere(self, session_id: int) -> Sequence[RunningReply]:
        """Return the running replies of a session that other gateways make, the oldest first."""
        ...

    async def busy(self, session_ids: Sequence[int]) -> Collection[int]:
        """Return those of the sessions in which another gateway makes a reply."""
        ...

    async def all_elsewhere(
        self, limit: int, user_id: str | None = None, stream_id: str | None = None
    ) -> Sequence[ReplyElsewhere]:
        """Return running replies of other gateways, the oldest first: all, of a user, or one."""
        ...
