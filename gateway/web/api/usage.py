"""`GET /api/chatbot/usage`: used tokens by day and model, of the caller or, with scope admin, of any user."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, BeforeValidator, Field

from gateway.contract.errors import Forbidden
from gateway.contract.usage import UsedTokens
from gateway.web.api.dependencies import CallerIs, Gateway

PAGE = 1000

_DEFAULT = timedelta(days=29)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _spelt_out(value: object) -> object:
    # pydantic would also accept Unix timestamps and other forms of ISO 8601.
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("must be a day such as 2026-01-31")
    return value


Day = Annotated[date, BeforeValidator(_spelt_out)]


class UsageView(BaseModel):
    """Tokens as the model server counted them; replies without a count add none.

    model: null if the model server did not name it. user: only if the request has `user`.
    """

    day: date
    user: Annotated[str | None, Field(json_schema_extra={"type": "string"})] = None
    model: str | None
    replies: Annotated[int, Field(description="Replies that ended on this day, in UTC.")]
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


async def used_tokens(
    gateway: Gateway,
    caller: CallerIs,
    first: Annotated[
        Day | None, Query(alias="from", description="First day. Default: 29 days before `to`.")
    ] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last day. Default: today.")] = None,
    user: Annotated[
        str | None, Query(description="Name of a user, or `*` for all. Needs the scope admin.")
    ] = None,
) -> StreamingResponse:
    if user is not None and "admin" not in caller.permissions:
        raise Forbidden("The API key lacks the scope admin, which the parameter user needs.")
    last = last or datetime.now(UTC).date()
    first = first or max(last, date.min + _DEFAULT) - _DEFAULT
    wanted = caller.user_id if user is None else None if user == "*" else user

    async def next_page(after: UsedTokens | None) -> Sequence[UsedTokens]:
        return await gateway.usage.between(first, last, wanted, after=after, limit=PAGE)

    # Read the first page before the response begins, so that a failure of the database becomes an error.
    rows = _as_json(await next_page(None), next_page, with_user=user is not None)
    return StreamingResponse(rows, media_type="application/json")


async def _as_json(
    page: Sequence[UsedTokens],
    next_page: Callable[[UsedTokens], Awaitable[Sequence[UsedTokens]]],
    *,
    with_user: bool,
) -> AsyncIterator[bytes]:
    """Yield the JSON list of all rows, page by page."""
    separator = b"["
    while page:
        told = (_told(row, with_user=with_user).model_dump_json(exclude_unset=True) for row in page)
        yield separator + ",".join(told).encode()
        separator = b","
        page = await next_page(page[-1]) if len(page) == PAGE else ()
    yield b"[]" if separator == b"[" else b"]"


def _told(used: UsedTokens, *, with_user: bool) -> UsageView:
    told = UsageView(
        day=used.day,
        model=used.model,
        replies=used.replies,
        prompt_tokens=used.prompt_tokens,
        completion_tokens=used.completion_tokens,
        total_tokens=used.total_tokens,
    )
    if with_user:
        told.user = used.user_id
    return told
