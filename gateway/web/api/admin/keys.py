"""`/api/admin/keys`: lists, creates and revokes API keys."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Path, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.contract.errors import NotFound
from gateway.contract.keys import (
    MAX_NAME_CHARS,
    MAX_RATE_PER_MINUTE,
    MAX_STREAMS,
    USER_PATTERN,
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


class KeyView(BaseModel):
    """A key without its secret part. last_used_at: accurate to about a minute."""

    id: int
    prefix: Annotated[str, Field(description="Its first characters, to identify it.")]
    user: str
    name: str
    scopes: Sequence[str]
    rate_per_minute: int | None
    streams: int | None
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
    )
    created = await gateway.keys.create(new, actor)
    response.headers["cache-control"] = "no-store"
    return CreatedKeyView(key=key, **_told(created))


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
        "created_at": stored.created_at,
        "last_used_at": stored.last_used_at,
        "revoked_at": stored.revoked_at,
    }
