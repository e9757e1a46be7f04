"""Usage: tokens by day, user and model, and totals over all users."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UsedTokens:
    """Usage of one user's replies by one model that ended on one day, in UTC.

    Token counts are the model server's; a reply without counts adds 0. Embeddings add prompt tokens and no
    reply.

    Attributes:
        model: None if the model server did not name it.
        replies: number of replies of any status.
    """

    day: date
    user_id: str
    model: str | None
    replies: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Totals over all users.

    response_ms, ttft_ms and tokens_per_s are means over those of the latest 100 complete replies that have
    the value; 0 if none has.

    Attributes:
        messages: stored now.
        sessions: stored now.
        replies_today: replies that ended since midnight UTC, also in sessions that were deleted since.
        tool_calls_today: tool calls in these replies.
    """

    messages: int
    sessions: int
    replies_today: int
    tool_calls_today: int
    database_bytes: int
    response_ms: float
    ttft_ms: float
    tokens_per_s: float


@dataclass(frozen=True, slots=True)
class Writes:
    """Changes of the database by this process.

    Attributes:
        waiting: changes that wait for their transaction.
        committed: committed changes, and `waited_s`, the sum of the seconds from their request to the commit.
    """

    waiting: int
    committed: int
    waited_s: float


class UsageStore(Protocol):
    """Each coroutine raises StorageFailed if the database does not answer or refuses."""

    async def between(
        self,
        first: date,
        last: date,
        user_id: str | None,
        *,
        after: UsedTokens | None = None,
        limit: int = 1000,
    ) -> Sequence[UsedTokens]:
        """Return one page, ordered by day, user and model.

        Args:
            first: the first day.
            last: the last day, included.
            user_id: None for all users.
            after: the last item of the previous page; None for the first page.
            limit: maximum number of items.
        """
        ...

    async def count_embeddings(self, user_id: str, model: str | None, tokens: int) -> None:
        """Add the tokens of one request for embeddings to today's usage. It is no reply."""
        ...

    async def figures(self) -> Figures:
        """Return the totals. They come from stored counters: the cost does not depend on the number of
        messages."""
        ...

    async def database_bytes(self) -> int:
        """Return the size of the database."""
        ...

    def writes(self) -> Writes:
        """Return the state of this process's changes. It reads nothing from the database."""
        ...
