"""`GET /api/chatbot/usage`: tokens by day and model, one's own or, for administrators, anybody's."""

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
    # Else seconds since 1970 and half of ISO 8601 would do too.
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("must be a day such as 2026-01-31")
    return value


Day = Annotated[date, BeforeValidator(_spelt_out)]


class UsageView(BaseModel):
    """model: null where nobody named it. user: there if a user was asked for. Tokens are as the model server
    counted them; replies that it did not count have none."""

    day: date
    user: Annotated[str | None, Field(json_schema_extra={"type": "string"})] = None
    model: str | None
    replies: Annotated[int, Field(description="That ended on this day, in UTC.")]
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


async def used_tokens(
    gateway: Gateway,
    caller: CallerIs,
    first: Annotated[
        Day | None, Query(alias="from", description="The first day; 30 days up to `to` without it.")
    ] = None,
    last: Annotated[Day | None, Query(alias="to", description="The last day; today without it.")] = None,
    user: Annotated[
        str | None, Query(description="A user's name, or `*` for all; administrators only.")
    ] = None,
) -> StreamingResponse:
    if user is not None and "admin" not in caller.permissions:
        raise Forbidden("Only administrators may ask for other users' usage.")
    last = last or datetime.now(UTC).date()
    first = first or max(last, date.min + _DEFAULT) - _DEFAULT
    wanted = caller.user_id if user is None else None if user == "*" else user

    async def next_page(after: UsedTokens | None) -> Sequence[UsedTokens]:
        return await gateway.usage.between(first, last, wanted, after=after, limit=PAGE)

    # The first page is read before the answer begins, so that a database that fails is told as an error.
    rows = _as_json(await next_page(None), next_page, with_user=user is not None)
    return StreamingResponse(rows, media_type="application/json")


async def _as_json(
    page: Sequence[UsedTokens],
    next_page: Callable[[UsedTokens], Awaitable[Sequence[UsedTokens]]],
    *,
    with_user: bool,
) -> AsyncIterator[bytes]:
    """A list of all rows, a page at a time."""
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
