"""What was used: tokens by day, user and model, and the figures of the whole house."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UsedTokens:
    """What one user's replies by one model used that ended on one day, in UTC.

    model: None where nobody named it. replies: all of them, however they ended. Tokens are as the model
    server counted them; a reply that nobody counted has none.
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
    """All users' together.

    messages, sessions: kept now. replies_today, tool_calls_today: that ended since midnight UTC, also in
    sessions that were deleted. response_ms, ttft_ms, tokens_per_s: means over the latest 100 complete
    replies, of those that have the figure; 0 where none has.
    """

    messages: int
    sessions: int
    replies_today: int
    tool_calls_today: int
    database_bytes: int
    response_ms: float
    ttft_ms: float
    tokens_per_s: float


class UsageStore(Protocol):
    """Raises StorageFailed when the database does not answer or refuses."""

    async def between(
        self,
        first: date,
        last: date,
        user_id: str | None,
        *,
        after: UsedTokens | None = None,
        limit: int = 1000,
    ) -> Sequence[UsedTokens]:
        """By day, user and model, both days included.

        Args:
            user_id: None for everybody.
            after: the last one of the page before; None for the first page.
            limit: of a page.
        """
        ...

    async def figures(self) -> Figures:
        """From counts that are kept: the same few rows are read however many messages there are."""
        ...
