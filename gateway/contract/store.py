"""Stored sessions and messages, and the interface of their store. Times are aware, in UTC.

Methods raise NotFound for objects that the user has no access to, exactly as if they did not exist.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from gateway.contract.authors import Author
from gateway.contract.content import Part
from gateway.contract.continued import ReplySoFar, end_of
from gateway.contract.devices import StoredDevice
from gateway.contract.events import Delivery, Status, ToolCall, Usage
from gateway.contract.exchanges import (
    Checkpoint,
    ClaimedStream,
    Exchange,
    FinalReply,
    NewExchange,
    StoredError,
)
from gateway.contract.journal import Position
from gateway.contract.room_events import Origin

if TYPE_CHECKING:
    from gateway.contract.adoption import TakenOver
    from gateway.contract.notes import KeptNote, NewNote

MAX_PAGE_CHARS = 4 * 1024 * 1024
"""Maximum length of a page: the row that exceeds it is the page's last, also below the requested `limit`."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session.

    Attributes:
        key: a short readable name such as `local-1f3a9c`, for people and logs; never a credential.
        leaf_id: the last message of the branch that was chosen; None: the latest message.
    """

    id: int
    uuid: str
    key: str
    user_id: str
    title: str
    created_at: datetime
    updated_at: datetime
    leaf_id: int | None = None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message; a user's has status `complete` and none of the reply's fields.

    Attributes:
        parent_id: the previous message in the conversation; None for the first. All replies to one question
            have the same.
        content: its text.
        reason: reason of the reply's end (events.py); None while it streams.
        ttft_ms: from the question to the first event with content.
        response_ms: from the question to the end of the reply.
        tool_call_seqs: numbers of the journal events of `tool_calls`, in their order.
        last_seq: number of the terminal event in the journal; None before the end and after a crash.
        parts: the whole content if it has attachments, else empty.
        event_lengths: of a reply with exact events, see core/event_lengths.py; only from `reply` and
            `message`.
        request: the client's request, in the form of its endpoint; only from `reply` and `message`.
        places: the positions at which the reply was continued; only from `reply` and `message`.
        epoch: see Exchange.
        seams: as Ending.continued.
        siblings: ids of the messages with the same parent, its own too, in order; only from a path.
        origin, client_id: see NewNote; of questions and replies `origin` is None.
    """

    id: int
    uuid: str
    session_id: int
    parent_id: int | None
    author: Author
    role: Literal["user", "assistant"]
    content: str
    status: Status
    created_at: datetime
    reason: str | None = None
    usage: Usage | None = None
    ttft_ms: float | None = None
    response_ms: float | None = None
    delivery: Delivery | None = None
    mode: str | None = None
    model: str | None = None
    stream_id: str | None = None
    reasoning: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    tool_call_seqs: Sequence[int] = ()
    last_seq: int | None = None
    error: StoredError | None = None
    parts: tuple[Part, ...] = ()
    event_lengths: bytes | None = None
    request: bytes | None = None
    places: tuple[Position, ...] = ()
    epoch: int = field(default=0, compare=False)
    seams: tuple[int, ...] = ()
    siblings: tuple[int, ...] = field(default=(), compare=False)
    origin: Origin | None = None
    client_id: str | None = None

    def so_far(self) -> ReplySoFar:
        """Return the reply as it can be continued."""
        end = end_of(self.last_seq, len(self.content), self.epoch)
        return ReplySoFar(
            self.id,
            self.uuid,
            self.stream_id or "",
            self.epoch,
            self.content,
            self.reasoning,
            self.usage,
            self.model,
            (*self.places, end),
        )


class MessageStore(Protocol):
    """Each method raises StorageFailed if the database does not answer or refuses. When it returns, its
    change is committed."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Open and migrate the database, and run the writer. Leaving commits all changes handed over."""
        ...

    async def ping(self) -> None:
        """Raise StorageFailed if the database would not accept a change now. Tried at most once a second."""
        ...

    async def sweep(self, dead: Collection[str] | None = None) -> int:
        """Mark the replies that these owners left `streaming` as `interrupted`; None: those of all others.

        Return their number.
        """
        ...

    async def adopt(self, dead: Collection[str] | None) -> "TakenOver":
        """Take over all running replies of these owners, of all others if None; those without a handle are
        marked as `interrupted`. Of several gateways that try, one gets a reply: its epoch increases, and its
        previous owner cannot change it any more."""
        ...

    async def create_session(self, user_id: str, title: str) -> StoredSession:
        """Raises QuotaReached if the user has the maximum number of sessions."""
        ...

    async def session(self, user_id: str, session_id: int) -> StoredSession: ...

    async def rename_session(self, user_id: str, session_id: int, title: str) -> StoredSession: ...

    async def delete_session(self, user_id: str, session_id: int) -> None:
        """Delete it with its messages and their idempotency keys, but not their usage. A reply that is still
        running in it is not stored any more."""
        ...

    async def session_named(self, user_id: str, name: str) -> StoredSession:
        """Return the session with this key or uuid."""
        ...

    async def delete_reply(self, user_id: str, stream_id: str) -> None:
        """Delete a reply with its idempotency key, and its question unless that has another reply.

        Messages after the reply follow the message before it. Its usage stays counted. A reply that is still
        running is not stored any more. Raises NotFound without access to change the session.
        """
        ...

    async def latest_session(self, user_id: str, thread: str) -> StoredSession | None:
        """Return the session of this thread that was active last, if that was in the last 12 hours."""
        ...

    async def sessions(
        self,
        user_id: str,
        *,
        query: str | None = None,
        before: int | None = None,
        limit: int = 50,
        hidden: bool = False,
    ) -> Sequence[StoredSession]:
        """Return the user's sessions by last activity, the latest first.

        Args:
            query: part of the title, in any case, or of a message; there only ASCII letters have no case.
            before: id of the session after which the page begins.
            limit: maximum number of sessions.
            hidden: True includes sessions of agents (HIDDEN_PREFIX).
        """
        ...

    async def messages(
        self, user_id: str, session_id: int, *, after: int = 0, limit: int = 200, path: bool = False
    ) -> Sequence[StoredMessage]:
        """Return messages with ids greater than `after`, oldest first: at most `limit`, and fewer if they
        exceed MAX_PAGE_CHARS together, but at least one if there is any. path: True returns only those of
        the branch that the session shows, with their siblings."""
        ...

    async def message(self, user_id: str, message_id: int) -> StoredMessage:
        """Return one message."""
        ...

    async def choose(self, user_id: str, message_id: int) -> StoredSession:
        """Show the branch of this message, up to the latest message below it, until a newer exchange begins.

        Raises NotFound without write access to the session.
        """
        ...

    async def history(
        self,
        user_id: str,
        session_id: int,
        *,
        max_chars: int,
        max_bytes: int = MAX_PAGE_CHARS,
        last_id: int | None = None,
    ) -> tuple[StoredSession, Sequence[StoredMessage]]:
        """Return the session and the latest finished messages of its path, oldest first, without empty ones
        and without questions that the model refused (REFUSALS).

        Args:
            last_id: the last message of the path, one of the session; None: as the session shows it.
            max_chars: of texts and text files together; a message beyond it and older ones are left out.
            max_bytes: of parts together, as JSON; the message that exceeds it and all older ones are without
                parts.
        """
        ...

    async def reply(self, user_id: str, stream_id: str) -> StoredMessage:
        """Return the assistant message of a stream."""
        ...

    async def exchange(self, user_id: str, stream_id: str) -> Exchange:
        """Return the ids of the question and the reply of a stream."""
        ...

    async def begin(self, exchange: NewExchange) -> Exchange:
        """Store the question and the empty reply in one commit; nothing if it raises or is cancelled.

        Sets the session's last activity, and its title if it has none; the session shows the new reply.
        Raises NotFound without write access to the session, or if a message of the Spot is not in it;
        QuotaReached if it needs a new session and the user has the maximum; Conflict if the user used the
        idempotency key in the last 24 hours, or if a reply that should go on is running, has changed, or
        another message follows it.
        """
        ...

    async def post(self, note: "NewNote") -> "KeptNote":
        """Store a note after the last message that the session shows; not if it raises or is cancelled.

        Notes and questions are stored in the order of the calls; sessions change as by `begin`. Raises
        NotFound without write access, Conflict if the author sent another text with the same client id.
        """
        ...

    async def claimed(self, user_id: str, key: str) -> ClaimedStream | None:
        """Return the use of this Idempotency-Key in the last 24 hours."""
        ...

    async def secret(self, name: str) -> bytes:
        """Return 32 random bytes, equal for all gateways on this database; created at the first call."""
        ...

    async def device(self, name: str) -> StoredDevice | None:
        """Return the device; None if it is not registered."""
        ...

    async def checkpoint(self, checkpoints: Sequence[Checkpoint]) -> Sequence[int]:
        """Store the text of these replies so far. Return the message ids of replies that were not stored,
        because they were deleted, have ended, or were taken over by another gateway."""
        ...

    async def keep_handle(self, exchange: Exchange, handle: Mapping[str, Any]) -> bool:
        """Store the data that another gateway needs to continue receiving the reply. Return False, without a
        change, if the reply was deleted, has ended, or was taken over by another gateway."""
        ...

    async def finish(self, reply: FinalReply) -> bool:
        """Store a reply's final state, after all its checkpoints that were handed over before. Return False,
        without a change, if the row was deleted, is not as `over` demands, or was taken over."""
        ...

    def finish_later(self, reply: FinalReply) -> None:
        """Store the final state of a reply as soon as the database accepts it, after `finish` has failed.

        `reply` and `messages` return it from now on, since the readers have received it. A row that was
        deleted or taken over by another gateway is not changed. Pending states are held in memory, limited in
        number and bytes; beyond that the oldest is dropped, and its row is swept at the next start.
        """
        ...
