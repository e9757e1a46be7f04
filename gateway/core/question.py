"""A question, as every kind of client asks it."""

from collections.abc import Sequence

from msgspec import Struct, field

from gateway.contract.authors import Author
from gateway.contract.branches import Branch, Spot
from gateway.contract.content import Content
from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.requests import CacheUse, Sampling, Turn
from gateway.contract.store import StoredMessage
from gateway.core.pacing import Pace
from gateway.core.rate_limits import Allowance

DEVICE = "device"
"""The dialect of a device's question."""


class Question(Struct, frozen=True):
    """A user's question.

    Attributes:
        session_id: None starts a session, or continues the latest of `thread` (contract/exchanges.py).
        resumable: True if readers may come back after they left.
        pace: for a reply that arrives in one piece; None sends it at once.
        author: of the question; None for the user.
        client_id: of the question, chosen by the client.
        turns: the whole conversation, if the client sends it; it replaces the session's history.
        trace: a W3C `traceparent`.
        allowance: limits of the caller; None for those of the user.
        unattended: True continues the reply without a reader, without a time limit.
        exact_events: True stores the lengths of the events, so that the reply can be replayed event by event.
        request: stored with the reply.
        raw: as in ChatRequest.
        branch: the place in the session; None: at the end of the branch that the session shows.
        follows: id of the message before the question, where the history for the model ends; 0: there is
            none; None: the last message of the branch that the session shows.
        continues: the stored reply that goes on; `content` is its text then.
        continue_on_failure: as in ChatRequest.
        dialect: name of the client's dialect; `device` for a device.
    """

    user_id: str
    content: Content
    session_id: int | None = None
    system_prompt: str | None = None
    model: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    resumable: bool = False
    pace: Pace | None = None
    idempotency: IdempotencyClaim | None = None
    thread: str | None = None
    author: Author | None = None
    client_id: str | None = None
    turns: Sequence[Turn] | None = None
    trace: str | None = None
    allowance: Allowance | None = None
    cache: CacheUse = "use"
    unattended: bool = False
    exact_events: bool = False
    request: bytes | None = None
    raw: bool = False
    branch: Branch | Spot | None = None
    follows: int | None = None
    continues: StoredMessage | None = None
    continue_on_failure: bool | None = None
    dialect: str = ""
