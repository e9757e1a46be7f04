"""Headers that tell the limits of the caller. Source: draft-ietf-httpapi-ratelimit-headers-11.

Model APIs also get the headers of OpenAI and Anthropic, which clients of those APIs read.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.contract.limits import MINUTE_S, Places, SpentRequest
from gateway.core.budgets import Budgets
from gateway.core.key_ring import Caller
from gateway.core.rate_limits import Allowance
from gateway.web.door.callers import CALLER
from gateway.web.http.asgi import Message, Scope, Send
from gateway.web.http.endpoint import endpoint_of
from gateway.web.http.error_shapes import ANTHROPIC, OPENAI

SPENT_REQUEST = "sluice.spent_request"
"""Key of the SpentRequest in the ASGI scope. A request that no limit counts has none."""

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit and its present state.

    Attributes:
        name: of the policy in the headers.
        quota: allowed units.
        remaining: units that are left.
        unit: of the quota; empty for requests, the default of the draft.
        window_s: seconds for which the quota is; None for no time.
        next_s: seconds until more units are left; None if that is not known.
    """

    name: str
    quota: int
    remaining: int
    unit: str = ""
    window_s: int | None = None
    next_s: int | None = None

    @property
    def policy(self) -> str:
        unit = f';qu="{self.unit}"' if self.unit else ""
        window = "" if self.window_s is None else f";w={self.window_s}"
        return f'"{self.name}";q={self.quota}{unit}{window}'

    @property
    def state(self) -> str:
        until = "" if self.next_s is None else f";t={self.next_s}"
        return f'"{self.name}";r={self.remaining}{until}'


class LimitHeaders:
    """Adds the headers to responses. places: of the callers' simultaneous replies."""

    def __init__(self, places: Places, budgets: Budgets) -> None:
        self._places = places
        self._budgets = budgets

    def added(self, scope: Scope, send: Send) -> Send:
        """Return `send` with the headers added, or `send` itself if no limit counts the request."""
        spent = scope.get(SPENT_REQUEST)
        if spent is None:
            return send
        caller = scope[CALLER]
        shape = endpoint_of(scope).errors

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                limits = list(self._limits(caller, spent))
                headers = {
                    "ratelimit-policy": ", ".join(limit.policy for limit in limits),
                    "ratelimit": ", ".join(limit.state for limit in limits),
                }
                if shape is OPENAI:
                    headers |= _of_openai(limits)
                elif shape is ANTHROPIC:
                    headers |= _of_anthropic(limits, datetime.now(UTC))
                raw = [(name.encode(), value.encode()) for name, value in headers.items()]
                message["headers"] = [*message["headers"], *raw]
            await send(message)

        return send_with_headers

    def _limits(self, caller: Caller, spent: SpentRequest) -> Iterator[Limit]:
        yield Limit(
            "minute", spent.limit, spent.remaining, window_s=MINUTE_S, next_s=max(1, math.ceil(spent.next_s))
        )
        if caller.allowance is not None:
            streams = self._places.free(caller.allowance.streams)
            yield Limit("streams", streams.limit, streams.free, "concurrent-requests")
        yield from self._tokens(caller.allowance)

    def _tokens(self, allowance: Allowance | None) -> Iterator[Limit]:
        if allowance is None or allowance.key_id is None or (limit := allowance.tokens_per_day) is None:
            return
        left = max(0, limit - self._budgets.used(allowance.key_id))
        yield Limit("day", limit, left, "tokens", DAY_S, max(1, math.ceil(self._budgets.seconds_left())))


_UNITS = {"minute": "requests", "day": "tokens"}
"""Names in the headers of OpenAI and Anthropic, by the name of the Limit."""


def _of_openai(limits: list[Limit]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for limit in limits:
        if unit := _UNITS.get(limit.name):
            headers[f"x-ratelimit-limit-{unit}"] = str(limit.quota)
            headers[f"x-ratelimit-remaining-{unit}"] = str(limit.remaining)
            headers[f"x-ratelimit-reset-{unit}"] = f"{limit.next_s or 0}s"
    return headers


def _of_anthropic(limits: list[Limit], now: datetime) -> dict[str, str]:
    headers: dict[str, str] = {}
    for limit in limits:
        if unit := _UNITS.get(limit.name):
            reset = (now + timedelta(seconds=limit.next_s or 0)).replace(microsecond=0)
            headers[f"anthropic-ratelimit-{unit}-limit"] = str(limit.quota)
            headers[f"anthropic-ratelimit-{unit}-remaining"] = str(limit.remaining)
            headers[f"anthropic-ratelimit-{unit}-reset"] = reset.isoformat().replace("+00:00", "Z")
    return headers
