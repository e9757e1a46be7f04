"""Tokens per day of API keys. The database counts them; a copy in memory refuses questions at the limit."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta

from gateway.contract.content import chars_of
from gateway.contract.errors import StorageFailed, TokenBudgetExceeded
from gateway.contract.exchanges import Charge
from gateway.contract.keys import KeyStore
from gateway.contract.limits import UserClass
from gateway.contract.requests import ChatRequest
from gateway.core.rate_limits import Allowance
from gateway.core.reply_accumulator import ReplyAccumulator

CHARS_PER_TOKEN = 4
"""Of a reply whose tokens the model server did not count, because it was stopped or failed."""


class Budgets:
    """The tokens that keys with a limit have used today, in UTC.

    A reply counts when it ends, so replies that run at the same time can exceed the limit.

    Args:
        store: the stored keys.
        now: aware.

    Attributes:
        refused: number of refused questions.
    """

    def __init__(self, store: KeyStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._now = now
        self._day = date.min
        self._used: dict[int, int] = {}
        self.refused: Counter[UserClass] = Counter()

    def used(self, key_id: int) -> int:
        """Return the tokens that the key has used today."""
        self._begin_day()
        return self._used.get(key_id, 0)

    def seconds_left(self) -> float:
        """Return the time until the next day."""
        now = self._now().astimezone(UTC)
        tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        return (tomorrow - now).total_seconds()

    def check(self, allowance: Allowance) -> None:
        """Raise TokenBudgetExceeded, with the time until the next day, if the key has used its tokens."""
        limit, key_id = allowance.tokens_per_day, allowance.key_id
        if limit is None or key_id is None or self.used(key_id) < limit:
            return
        self.refused["key"] += 1
        tomorrow = self._day + timedelta(days=1)
        raise TokenBudgetExceeded(
            f"The key has used its {limit} tokens of today: it gets new ones at {tomorrow}T00:00:00Z.",
            retry_after_s=self.seconds_left(),
        )

    async def reload(self) -> None:
        """Read the tokens of all keys with a limit, which another process may have counted. Raises
        StorageFailed."""
        self._note(self._begin_day(), await self._store.used_on(self._day))

    async def reload_key(self, key_id: int) -> None:
        """Read the tokens of one key. If the database does not answer, the next `reload` reads them."""
        day = self._begin_day()
        with suppress(StorageFailed):
            self._note(day, await self._store.used_on(day, key_id))

    async def charge(self, charge: Charge) -> None:
        """Count tokens of work that is not stored. Raises StorageFailed."""
        await self._store.charge(charge)
        await self.reload_key(charge.key_id)

    def _begin_day(self) -> date:
        today = self._now().astimezone(UTC).date()
        if today != self._day:
            self._day = today
            self._used = {}
        return today

    def _note(self, day: date, used: Mapping[int, int]) -> None:
        # During a day the numbers only grow: of two reads that overlap, the greater number is the later one.
        if day == self._day:
            self._used |= {key_id: max(tokens, self._used.get(key_id, 0)) for key_id, tokens in used.items()}


def prompt_chars(request: ChatRequest) -> int:
    """Return the length of the request's turns."""
    return sum(chars_of(turn.content) for turn in request.turns)


class Tab:
    """Charges one reply to its key.

    Args:
        prompt_chars: length of its prompt.
        kept: False if the reply is not stored.
    """

    def __init__(self, budgets: Budgets, key_id: int, prompt_chars: int, *, kept: bool) -> None:
        self._budgets = budgets
        self._key_id = key_id
        self._prompt_chars = prompt_chars
        self._kept = kept

    def charge(self, reply: ReplyAccumulator) -> Charge:
        """Return the tokens of a reply that has ended: those that the model server counted, else an
        estimate by its length. A reply without content, or from the cache, costs none."""
        if reply.done is not None and reply.done.cached:
            tokens = 0
        elif (usage := reply.usage) is not None:
            tokens = usage.prompt_tokens + usage.completion_tokens
        elif reply.first_at is None:
            tokens = 0
        else:
            chars = len(reply.text) + len(reply.reasoning or "")
            chars += sum(len(call.arguments) for call in reply.tool_calls)
            chars += self._prompt_chars
            tokens = chars // CHARS_PER_TOKEN + 1
        return Charge(self._key_id, tokens)

    async def settle(self, reply: ReplyAccumulator) -> None:
        """Let the next question see the reply's tokens. Call it when the reply's end is stored."""
        if self._kept:
            await self._budgets.reload_key(self._key_id)
        else:
            with suppress(StorageFailed):
                await self._budgets.charge(self.charge(reply))
