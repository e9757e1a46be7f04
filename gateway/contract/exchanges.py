"""Exchanges as the store takes and returns them: a question and its reply, from the beginning to the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from gateway.contract.authors import Author
from gateway.contract.branches import Branch, Spot
from gateway.contract.content import Content
from gateway.contract.continued import ReplySoFar
from gateway.contract.events import Delivery, Status, ToolCall, Usage


class IdempotencyClaim(Struct, frozen=True):
    """An Idempotency-Key, and the SHA-256 of the endpoint and canonical body of its request, in hex."""

    key: str
    fingerprint: str


class ClaimedStream(Struct, frozen=True):
    """The request and the stream of an Idempotency-Key that was used."""

    fingerprint: str
    stream_id: str


class NewExchange(Struct, frozen=True):
    """A question and its reply, which is still empty.

    Attributes:
        session_id: None continues the user's latest session of `thread` that was active in the last 12 hours,
            or starts a session with `title`.
        idempotency: the Idempotency-Key to use up.
        thread: name of a conversation without a given session, such as `device:robot-1`; a session without
            one takes it.
        author: of the question; None for the user.
        client_id: of the question, chosen by its client.
        handle: data that another gateway needs to continue receiving the reply; None if not known yet.
        request: the client's request, stored with the reply.
        branch: the place in the session; None: at the end of the branch that the session shows.
        continues: the stored reply that goes on; nothing is inserted, and `stream_id` is its own.
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
    client_id: str | None = None
    handle: Mapping[str, Any] | None = None
    request: bytes | None = None
    branch: Branch | Spot | None = None
    continues: ReplySoFar | None = None


@dataclass(slots=True, unsafe_hash=True)
class Exchange:
    """A stored question and its reply.

    Attributes:
        user_message_id: 0 if the question was deleted, as retention does with old ones.
        opens_session: True if the session was created for it.
        epoch: number of times that another gateway took the reply over, or that it was continued.
        continues: True if the reply was stored before and goes on; only from `begin`.
        new_question: False if the question was stored before; only from `begin`.
        question_uuid: of a new question; only from `begin`.
        asked_at: time of a new question; only from `begin`.
    """

    session_id: int
    session_key: str
    session_uuid: str
    user_message_id: int
    assistant_message_id: int
    assistant_message_uuid: str
    opens_session: bool
    epoch: int = 0
    new_question: bool = field(default=True, compare=False)
    continues: bool = field(default=False, compare=False)
    question_uuid: str = field(default="", compare=False)
    asked_at: datetime | None = field(default=None, compare=False)


class Checkpoint(Struct, frozen=True):
    """A reply's text so far. It is stored only if `epoch` is still that of the row.

    Attributes:
        event_lengths: of its events so far; None if they are not recorded.
        handle: belongs to this text; None: the stored one stays.
    """

    assistant_message_id: int
    content: str
    reasoning: str | None
    epoch: int = 0
    event_lengths: bytes | None = None
    handle: Mapping[str, Any] | None = None


class StoredError(Struct, frozen=True):
    """The error of a failed reply, as sent to its readers. retryable: None if an older version stored it."""

    code: str
    message: str
    retryable: bool | None = None


class Charge(Struct, frozen=True):
    """Tokens that an API key has used."""

    key_id: int
    tokens: int


class FinalReply(Struct, frozen=True):
    """A reply's final state.

    Attributes:
        over: the status that the row may have: `streaming`; `complete` allows both, since a stop during
            pacing changes a complete reply to `cancelled`; `ended` allows all, since readers have received
            this end already.
        epoch: must equal that of the row, which another gateway's takeover increases.
        counted: the part of `usage` that an earlier end of the reply has counted.
        seams: as Ending.continued.
        charge: counted with the first end of the reply, also if its session was deleted meanwhile.
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
    counted: Usage | None = None
    seams: tuple[int, ...] = ()
    charge: Charge | None = None
