"""Which gateway makes a running reply, where several share a database."""

from typing import Protocol

from gateway.contract.record import record


@record
class ReplyOwner:
    """The gateway that makes a running reply.

    Attributes:
        name: `GATEWAY_NAME/incarnation`, as in the reply's row.
        url: base address at which other gateways reach it; None if it has none, or runs no more.
        is_me: True for this gateway itself.
    """

    name: str
    url: str | None
    is_me: bool


class ReplyOwners(Protocol):
    """Each method raises StorageFailed."""

    async def of_reply(self, stream_id: str) -> ReplyOwner | None:
        """Return the owner of a reply; None if the reply does not run."""
        ...

    async def in_session(self, session_id: int) -> ReplyOwner | None:
        """Return the owner of the session's latest running reply; None if none runs."""
        ...
