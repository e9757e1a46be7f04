"""`/api/admin/keys`: lists, creates, changes and revokes API keys."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Request, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from gateway.contract.errors import NotFound
from gateway.contract.expiry import expiry_of
from gateway.contract.keys import (
    MAX_NAME_CHARS,
    MAX_RATE_PER_MINUTE,
    MAX_STREAMS,
    MAX_TOKENS_PER_DAY,
    USER_PATTERN,
    KeyChange,
    NewKey,
    Permission,
    StoredKey,
)
from gateway.core.key_ring import digest_of, draw_key, shown_of
from gateway.web.api.dependencies import ActorIs, Gateway
from gateway.web.http.bodies import MAX_ID, WHOLE, parse
from gateway.web.http.endpoint import read_request

ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
"""Without control characters, line separators and changes of the writing direction."""


def _one_line(text: str) -> str:
    if not re.fullmatch(ONE_LINE, text):
        raise ValueError("must be one line without control characters")
    return text


def _as_expiry(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a text such as 30d or 2027-01-31")
    return expiry_of(value[:MAX_EXPIRY_CHARS], datetime.now(UTC))


MAX_EXPIRY_CHARS = 40
Tokens = Annotated[
    Annotated[int, Field(ge=1, le=MAX_TOKENS_PER_DAY), WHOLE] | None,
    Field(description="Tokens of its replies, input and output, on a day in UTC; null: no limit."),
]
Expiry = Annotated[
    Annotated[datetime, BeforeValidator(_as_expiry), WithJsonSchema({"type": "string"})] | None,
    Field(
        description="The time from which it is refused: from now, as `12h`, `30d` or `8w`; a date, which "
        "begins in UTC; or an ISO 8601 time. null: never."
    ),
]


class NewKeyBody(BaseModel):
    """A new key. Without rate_per_minute and streams, the limits of its user apply."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: Annotated[str, Field(pattern=f"^{USER_PATTERN}$", description="The owner of its conversations.")]
    name: Annotated[
        str,
        AfterValidator(_one_line),
        Field(max_length=MAX_NAME_CHARS, json_schema_extra={"pattern": ONE_LINE}),
    ] = ""
    scopes: Annotated[list[Permission], Field(min_length=1, max_length=3)] = ["chat"]
    rate_per_minute: Annotated[int, Field(ge=1, le=MAX_RATE_PER_MINUTE), WHOLE] | None = None
    streams: Annotated[int, Field(ge=1, le=MAX_STREAMS), WHOLE] | None = None
    tokens_per_day: Tokens = None
    expires_at: Expiry = None


class KeyChangeBody(BaseModel):
    """Absent fields stay as they are."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"minProperties": 1})

    tokens_per_day: Tokens = None
    expires_at: Expiry = None

    @model_validator(mode="after")
    def _says_something(self) -> "KeyChangeBody":
        if not self.model_fields_set:
            raise ValueError("must have tokens_per_day or expires_at")
        return self


class KeyView(BaseModel):
    """A key without its secret part. last_used_at: accurate to about a minute."""

    id: int
    prefix: Annotated[str, Field(description="Its first characters, to identify it.")]
    user: str
    name: str
    scopes: Sequence[str]
    rate_per_minute: int | None
    streams: int | None
    tokens_per_day: int | None
    tokens_today: Annotated[int, Field(description="Of its replies that ended today, in UTC.")]
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class CreatedKeyView(KeyView):
    key: Annotated[str, Field(description="The whole key. It is not stored.")]


async def list_keys(gateway: Gateway) -> list[KeyView]:
    return [KeyView(**_told(stored)) for stored in await gateway.keys.stored()]


async def create_key(
    request: Request, response: Response, gateway: Gateway, actor: ActorIs
) -> CreatedKeyView:
    body = parse(await read_request(gateway, request.scope, request.receive), NewKeyBody)
    key = draw_key()
    new = NewKey(
        digest_of(key),
        shown_of(key),
        body.user,
        body.name,
        frozenset(body.scopes),
        body.rate_per_minute,
        body.streams,
        body.tokens_per_day,
        body.expires_at,
    )
    created = await gateway.keys.create(new, actor)
    response.headers["cache-control"] = "no-store"
    return CreatedKeyView(key=key, **_told(created))


async def change_key(
    request: Request, gateway: Gateway, actor: ActorIs, key_id: Annotated[int, Path(ge=1, le=MAX_ID)]
) -> KeyView:
    body = parse(await read_request(gateway, request.scope, request.receive), KeyChangeBody)
    given = body.model_fields_set
    change = KeyChange(
        body.tokens_per_day if "tokens_per_day" in given else "unchanged",
        body.expires_at if "expires_at" in given else "unchanged",
    )
    if not await gateway.keys.change(key_id, change, actor):
        raise NotFound("No such key, or it is revoked.")
    return next(KeyView(**_told(stored)) for stored in await gateway.keys.stored() if stored.id == key_id)


async def revoke_key(
    gateway: Gateway, actor: ActorIs, key_id: Annotated[int, Path(ge=1, le=MAX_ID)]
) -> Response:
    if not await gateway.keys.revoke(key_id, actor):
        raise NotFound("No such key, or it is revoked already.")
    return Response(status_code=204)


def _told(stored: StoredKey) -> dict[str, object]:
    key = stored.key
    return {
        "id": stored.id,
        "prefix": key.prefix,
        "user": key.user_id,
        "name": key.name,
        "scopes": sorted(key.permissions),
        "rate_per_minute": key.rate_per_minute,
        "streams": key.streams,
        "tokens_per_day": key.tokens_per_day,
        "tokens_today": stored.tokens_on(datetime.now(UTC).date()),
        "expires_at": key.expires_at,
        "created_at": stored.created_at,
        "last_used_at": stored.last_used_at,
        "revoked_at": stored.revoked_at,
    }
