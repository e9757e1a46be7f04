"""The services that a room's participants use."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from gateway.contract.content import Content
from gateway.contract.store import StoredSession
from gateway.core.key_ring import Caller
from gateway.core.room_hall import RoomHall
from gateway.core.room_posts import RoomPosts
from gateway.rooms.event_rates import EventRates


@dataclass(frozen=True, slots=True)
class RoomServices:
    """Attributes:
    hall: lets listeners join.
    posts: stores messages.
    rates: limits of events.
    session_of: returns the session that a user names by id, uuid or key. Raises NotFound without access.
    is_watcher: True if the user may only read the session with this id.
    content_of: checks the content of a user's message, and puts the bytes of its attachments into it.
    spend: counts a message against the caller's requests per minute. Raises LimitExceeded.
    renewed: returns the caller with its limits as they are now; None once its key is revoked, or its token
        has expired.
    """

    hall: RoomHall
    posts: RoomPosts
    rates: EventRates
    session_of: Callable[[str, str | int], Awaitable[StoredSession]]
    is_watcher: Callable[[str, int], bool]
    content_of: Callable[[str, Any], Awaitable[Content]]
    spend: Callable[[Caller], Awaitable[None]]
    renewed: Callable[[Caller], Caller | None]
