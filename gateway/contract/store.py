"""What is kept of conversations, and the seam to whatever keeps it.

NotFound is raised for what the user may not see, exactly as if it did not exist. Times are aware, in UTC.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from gateway.contract.authors import Author
from gateway.contract.content import Content, Part
from gateway.contract.events import Delivery, Status, ToolCall, Usage

MAX_PAGE_CHARS = 4 * 1024 * 1024
"""Of what is given at once: the row that makes a page longer is its last, however many were asked for."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """key: a short readable name such as `local-1f3a9c`, for people and logs; never a credential."""

    id: int
    uuid: str
    key: str
    user_id: str
    title: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StoredError:
    """Why a reply failed, in the words its reader heard.

    retryable: None where an older version kept the error; then the code decides.
    """

    code: str
    message: str
    retryable: bool | None = None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message; a user's has status `complete` and none of the reply's fields.

    content: its text. parts: the whole content where that is not text alone, else empty.
    parent_id: the message that it answers or goes on from; None for the first of a session.
    reason: how the reply ended (events.py), None while it streams. ttft_ms: as `done` told it. response_ms:
    from the question to the end of what was made. last_seq: the number of the terminal event in the reply's
    journal, None while there is none and after a crash. tool_call_seqs: the numbers of the events that told
    `tool_calls`, in their order. event_lengths: where exact events were asked for, see core/event_lengths.py.
    request: what its client asked for, as the endpoint keeps it. `reply` alone gives these two.
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


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """A caller's Idempotency-Key and what it was sent with: SHA-256 hex of endpoint and canonical body."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ClaimedStream:
    """What an Idempotency-Key was used for."""

    fingerprint: str
    stream_id: str


@dataclass(frozen=True, slots=True)
class NewExchange:
    """A question and the empty reply to it.

    session_id None starts a session with `title`, or goes on with the user's latest of this `thread` that was
    active in the last 12 hours. thread: what a conversation hangs on where no session is named, such as
    `device:robot-1`; a session without one takes it. author: of the question; None for the user. handle: what
    a gateway needs to go on listening to the reply's generator, if that is known by now. request: kept with
    the reply.
    """

    user_id: str
    session_id: int | None
    title: str
    content: Content
    stream_id: str
    mode: str
    delivery: Delivery
    idempotency: IdempotencyClaim | None = None
    thread: str | None = None
    author: Author | None = None
    handle: Mapping[str, Any] | None = None
    request: bytes | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A saved question and its reply. opens_session: the session was made for it. epoch: how often another
    gateway took the reply over."""

    session_id: int
    session_key: str
    session_uuid: str
    user_message_id: int
    assistant_message_id: int
    assistant_message_uuid: str
    opens_session: bool
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a reply has said so far. epoch: of the exchange, so that a reply taken over is left alone."""

    assistant_message_id: int
    content: str
    reasoning: str | None
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class FinalReply:
    """A reply's last state.

    over: which rows this may be written over: `streaming` ones only; also `complete` ones, because a stop
    while a whole reply is paced rewrites what was complete to `cancelled` with the text that was shown; or
    `ended` ones of any status, because readers have been given this end already. None of them if another
    gateway has taken the reply over. epoch: of the exchange.
    """

    assistant_message_id: int
    status: Status
    reason: str
    content: str
    delivery: Delivery
    mode: str
    reasoning: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    model: str | None = None
    usage: Usage | None = None
    ttft_ms: float | None = None
    response_ms: float | None = None
    tool_call_seqs: Sequence[int] = ()
    last_seq: int | None = None
    error: StoredError | None = None
    over: Literal["streaming", "complete", "ended"] = "streaming"
    epoch: int = 0
    event_lengths: bytes | None = None


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """A registered device, known by the name in its MQTT topics."""

    name: str
    user_id: str
    created_at: datetime


class MessageStore(Protocol):
    """Raises StorageFailed when the database does not answer or refuses; whatever returned is committed."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Open, migrate, and keep the writer at work for as long as the block lasts.

        Leaving it first commits everything that was handed over.
        """
        ...

    async def ping(self) -> None:
        """Return if a change would be kept now. At most one try a second, however many ask."""
        ...

    async def sweep(self) -> int:
        """Take over every reply of another start that is still `streaming`, and mark it as `interrupted`; how
        many there were."""
        ...

    async def create_session(self, user_id: str, title: str) -> StoredSession:
        """QuotaReached if the user has as many as a user may."""
        ...

    async def session(self, user_id: str, session_id: int) -> StoredSession: ...

    async def rename_session(self, user_id: str, session_id: int, title: str) -> StoredSession: ...

    async def delete_session(self, user_id: str, session_id: int) -> None:
        """With its messages and their idempotency keys, but not what they used; a reply that still grows in
        it is kept no more."""
        ...

    async def session_named(self, user_id: str, name: str) -> StoredSession:
        """The session with this key or uuid."""
        ...

    async def latest_session(self, user_id: str, thread: str) -> StoredSession | None:
        """The session of this thread that was active last, if that was in the last 12 hours."""
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
        """The user's sessions, by last activity, the latest first.

        Args:
            query: part of the title, in any case.
            before: only the sessions behind the one of this id, in this order.
            limit: at most so many.
            hidden: agents' sessions too (HIDDEN_PREFIX).
        """
        ...

    async def messages(
        self, user_id: str, session_id: int, *, after: int = 0, limit: int = 200
    ) -> Sequence[StoredMessage]:
        """Oldest first, ids greater than `after`. Fewer than `limit` where they would be longer than
        MAX_PAGE_CHARS, but at least one if there is any."""
        ...

    async def history(
        self, user_id: str, session_id: int, *, max_chars: int, max_bytes: int = MAX_PAGE_CHARS
    ) -> tuple[StoredSession, Sequence[StoredMessage]]:
        """The session and its latest finished messages that are not empty, oldest first.

        Args:
            max_chars: of their text and text files together; a message that would pass the bound is left out
                with all that are older.
            max_bytes: of their parts together, as JSON; a message that would pass the bound, and all that are
                older, come without parts.
        """
        ...

    async def reply(self, user_id: str, stream_id: str) -> StoredMessage:
        """The assistant message of a stream."""
        ...

    async def exchange(self, user_id: str, stream_id: str) -> Exchange:
        """The question and the reply of a stream."""
        ...

    async def begin(self, exchange: NewExchange) -> Exchange:
        """Save the question and the reply's row in one commit. NotFound if the user may not write there;
        QuotaReached if it needs a new session and the user has as many as a user may.
        Where this raises, or is cancelled, nothing of it stays.

        The session counts as active now; one without a title takes the exchange's. With an idempotency claim
        whose key the user has used in the last 24 hours: Conflict, and nothing is saved.
        """
        ...

    async def claimed(self, user_id: str, key: str) -> ClaimedStream | None:
        """What this Idempotency-Key was used for in the last 24 hours."""
        ...

    async def secret(self, name: str) -> bytes:
        """32 random bytes, the same for everybody who shares this database; made when first asked for."""
        ...

    async def device(self, name: str) -> StoredDevice | None:
        """Whose device this is; None if nobody has registered it."""
        ...

    async def checkpoint(self, checkpoints: Sequence[Checkpoint]) -> Sequence[int]:
        """Keep what these replies have said so far; the message ids of those that were not kept, because they
        were deleted, have ended, or were taken over by another gateway."""
        ...

    async def keep_handle(self, exchange: Exchange, handle: Mapping[str, Any]) -> bool:
        """Keep what a gateway needs to go on listening to the reply's generator; False, with nothing changed,
        if the reply was deleted, has ended, or was taken over by another gateway."""
        ...

    async def finish(self, reply: FinalReply) -> bool:
        """Keep a reply's last state; False, with nothing changed, if its row may not be written `over`, or if
        another gateway took it over.

        Applied after every checkpoint of that reply that was handed over before it.
        """
        ...

    def finish_later(self, reply: FinalReply) -> None:
        """Keep the last state of a reply whose readers were given it although `finish` had failed.

        `reply` and `messages` give it from now on. It is written over whatever ended its row, as soon as the
        database takes it; a row that was deleted or taken over by another gateway is left alone. Held in
        memory until then, bounded in number and bytes: what is beyond is dropped, the oldest first, and its
        row is swept at the next start.
        """
        ...
