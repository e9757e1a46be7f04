"""The tables. Each change needs a migration; a test compares the two.

Ids are never reused. Large columns come last, so that SQLite can read the others without them; only columns
that a migration added follow them.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field

from gateway.store.attachment_table import attachments as attachments  # so that `metadata` has it
from gateway.store.columns import RowId, StorableText, UtcTime
from gateway.store.gateway_table import gateways as gateways
from gateway.store.room_table import room_members as room_members
from gateway.store.table_base import Kept

# A literal, not a bound value: a query uses a partial index only if it repeats its condition literally.
STREAMING = text("status = 'streaming'")
THREADED = text("thread IS NOT NULL")
NAMED_BY_CLIENTS = text("client_id IS NOT NULL")
# Otherwise SQLAlchemy inserts row by row on SQLite, to match the returned ids to the rows.
_TELLS_ROWS_APART = {"insert_sentinel": True}


def _where(condition: object) -> dict[str, Any]:
    """Return the arguments of a partial index."""
    return {"sqlite_where": condition, "postgresql_where": condition}


class SessionRow(Kept, table=True):
    """A session.

    Attributes:
        title_folded: `str.casefold` of the title, because SQLite folds only ASCII.
        leaf_id: the last message of the branch that a user has chosen. NULL, or a message that was deleted:
            the session's latest message.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        UniqueConstraint("uuid"),
        UniqueConstraint("key"),
        Index(None, "user_id", "updated_at", "id"),
        Index("ix_sessions_thread", "user_id", "thread", "updated_at", **_where(THREADED)),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_type=RowId, primary_key=True)
    uuid: str = Field(sa_type=StorableText, sa_column_kwargs=_TELLS_ROWS_APART)
    key: str = Field(sa_type=StorableText)
    user_id: str = Field(sa_type=StorableText)
    title: str = Field(sa_type=StorableText)
    title_folded: str = Field(sa_type=StorableText)
    created_at: datetime = Field(sa_type=UtcTime)
    updated_at: datetime = Field(sa_type=UtcTime)
    thread: str | None = Field(default=None, sa_type=StorableText)
    leaf_id: int | None = Field(default=None, sa_type=RowId)


class MessageRow(Kept, table=True):
    """A question (role `user`), a reply (`assistant`) or a note. Most columns from `stream_id` on are for
    replies only.

    Attributes:
        parent_id: the previous message in the conversation; NULL for the first. Several replies to one
            question have the same.
        author: `str` of gateway.contract.authors.Author.
        owner: the gateway that produces the reply; NULL for questions and for replies of older versions.
        epoch: number of times that another gateway took the reply over.
        handle: data that another gateway needs to continue receiving the reply.
        event_lengths, request: see StoredMessage; read only with a single reply.
        seams: lengths of the text at which another server or worker went on.
        continued: `[seq, chars]` of each Position at which the reply was continued, the first one first.
        origin: of a note; NULL for questions and replies.
        client_id: chosen by the client that sent the message.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("stream_id"),
        Index(None, "session_id", "id"),
        Index("ix_messages_children", "session_id", "parent_id", "id"),
        Index("ix_messages_streaming", "id", **_where(STREAMING)),
        Index("ix_messages_client_id", "session_id", "client_id", **_where(NAMED_BY_CLIENTS)),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_type=RowId, primary_key=True)
    uuid: str = Field(sa_type=StorableText, sa_column_kwargs=_TELLS_ROWS_APART)
    user_id: str = Field(sa_type=StorableText)
    session_id: int = Field(sa_type=RowId, foreign_key="sessions.id", ondelete="CASCADE")
    role: str = Field(sa_type=StorableText)
    status: str = Field(sa_type=StorableText)
    created_at: datetime = Field(sa_type=UtcTime)
    stream_id: str | None = Field(default=None, sa_type=StorableText)
    mode: str | None = Field(default=None, sa_type=StorableText)
    delivery: str | None = Field(default=None, sa_type=StorableText)
    model: str | None = Field(default=None, sa_type=StorableText)
    reason: str | None = Field(default=None, sa_type=StorableText)
    error_code: str | None = Field(default=None, sa_type=StorableText)
    error_message: str | None = Field(default=None, sa_type=StorableText)
    prompt_tokens: int | None = Field(default=None, sa_type=BigInteger)
    completion_tokens: int | None = Field(default=None, sa_type=BigInteger)
    total_tokens: int | None = Field(default=None, sa_type=BigInteger)
    tokens_per_s: float | None = None
    ttft_ms: float | None = None
    content: str = Field(sa_type=StorableText)
    reasoning: str | None = Field(default=None, sa_type=StorableText)
    tool_calls: list[dict[str, Any]] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    tool_call_seqs: list[int] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    last_seq: int | None = Field(default=None, sa_type=BigInteger)
    response_ms: float | None = None
    parts: bytes | None = Field(default=None, sa_type=LargeBinary)
    parent_id: int | None = Field(default=None, sa_type=RowId)
    author: str = Field(sa_type=StorableText, sa_column_kwargs={"server_default": ""})
    owner: str | None = Field(default=None, sa_type=StorableText)
    epoch: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    handle: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    error_retryable: bool | None = Field(default=None, sa_type=Boolean)
    event_lengths: bytes | None = Field(default=None, sa_type=LargeBinary)
    request: bytes | None = Field(default=None, sa_type=LargeBinary)
    continued: list[list[int]] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    seams: list[int] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    origin: str | None = Field(default=None, sa_type=StorableText)
    client_id: str | None = Field(default=None, sa_type=StorableText)


class IdempotencyKeyRow(Kept, table=True):
    """A used idempotency key and its reply."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("user_id", "key"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_type=RowId, primary_key=True)
    user_id: str = Field(sa_type=StorableText)
    key: str = Field(sa_type=StorableText)
    fingerprint: str = Field(sa_type=StorableText)
    message_id: int = Field(sa_type=RowId, foreign_key="messages.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(sa_type=UtcTime, index=True)


class SecretRow(Kept, table=True):
    """A secret that all processes on this database share. It belongs to no user, so it has no user_id."""

    __tablename__ = "secrets"

    name: str = Field(sa_type=StorableText, primary_key=True)
    value: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=UtcTime)


class DeviceRow(Kept, table=True):
    """A registered device. `name` is that of its MQTT topics."""

    __tablename__ = "devices"
    __table_args__ = (UniqueConstraint("name"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_type=RowId, primary_key=True)
    user_id: str = Field(sa_type=StorableText)
    name: str = Field(sa_type=StorableText)
    created_at: datetime = Field(sa_type=UtcTime)


class ApiKeyRow(Kept, table=True):
    """An API key, stored only as its SHA-256 in hex, the digest.

    Rows are never deleted: while there is one, every request needs a key.

    Attributes:
        changes: number of changes of its limits.
        used_day: the latest day, in UTC as `2026-01-31`, on which a reply of the key ended.
        used_tokens: tokens of its replies that ended on that day.
    """

    __tablename__ = "api_keys"
    __table_args__ = (UniqueConstraint("digest"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_type=RowId, primary_key=True)
    digest: str = Field(sa_type=StorableText)
    prefix: str = Field(sa_type=StorableText)
    user_id: str = Field(sa_type=StorableText)
    name: str = Field(sa_type=StorableText)
    permissions: str = Field(sa_type=StorableText)
    rate_per_minute: int | None = None
    streams: int | None = None
    created_at: datetime = Field(sa_type=UtcTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcTime)
    tokens_per_day: int | None = Field(default=None, sa_type=BigInteger)
    expires_at: datetime | None = Field(default=None, sa_type=UtcTime)
    changes: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    used_day: str | None = Field(default=None, sa_type=StorableText)
    used_tokens: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


class TemplateRow(Kept, table=True):
    """A template. `sampling` has the settings that were given, by their names in OpenAI's chat API."""

    __tablename__ = "templates"
    __table_args__ = (Index("ix_templates_user_id", "user_id", "id"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_type=RowId, primary_key=True)
    user_id: str = Field(sa_type=StorableText)
    name: str = Field(sa_type=StorableText)
    model: str | None = Field(default=None, sa_type=StorableText)
    created_at: datetime = Field(sa_type=UtcTime)
    updated_at: datetime = Field(sa_type=UtcTime)
    system_prompt: str | None = Field(default=None, sa_type=StorableText)
    sampling: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class TokenUsageRow(Kept, table=True):
    """Usage of a user's replies by one model that ended on one day. It stays when sessions are deleted.

    Attributes:
        day: in UTC, as `2026-01-31`.
        model: empty if the model server did not name it.
    """

    __tablename__ = "token_usage"
    __table_args__ = ({"sqlite_with_rowid": False},)

    user_id: str = Field(sa_type=StorableText, primary_key=True)
    day: str = Field(sa_type=StorableText, primary_key=True, index=True)
    model: str = Field(sa_type=StorableText, primary_key=True)
    replies: int = Field(sa_type=BigInteger)
    tool_calls: int = Field(sa_type=BigInteger)
    prompt_tokens: int = Field(sa_type=BigInteger)
    completion_tokens: int = Field(sa_type=BigInteger)
    total_tokens: int = Field(sa_type=BigInteger)


class DeletedRow(Kept, table=True):
    """Number of deleted rows of a table. Since ids are never reused, the last id minus this number is the
    number of rows. Code that deletes messages or sessions must add to it."""

    __tablename__ = "deleted"

    name: str = Field(sa_type=StorableText, primary_key=True)
    rows: int = Field(sa_type=BigInteger)


class AuditRow(Kept, table=True):
    """One change that an administrator made: see gateway.contract.audit."""

    __tablename__ = "audit_log"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, sa_type=RowId, primary_key=True)
    at: datetime = Field(sa_type=UtcTime)
    actor: str = Field(sa_type=StorableText)
    key_id: int | None = Field(default=None, sa_type=RowId)
    source: str = Field(sa_type=StorableText)
    action: str = Field(sa_type=StorableText)
    subject: str = Field(sa_type=StorableText)
    detail: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class KeptSettingRow(Kept, table=True):
    """A setting that an administrator changed while the gateway ran: see gateway.contract.kept_settings."""

    __tablename__ = "kept_settings"

    name: str = Field(sa_type=StorableText, primary_key=True)
    value: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    set_by: str = Field(sa_type=StorableText)
    key_id: int | None = Field(default=None, sa_type=RowId)
    source: str = Field(sa_type=StorableText)
    set_at: datetime = Field(sa_type=UtcTime)


metadata = Kept.metadata
sessions = metadata.tables["sessions"]
messages = metadata.tables["messages"]
idempotency_keys = metadata.tables["idempotency_keys"]
secrets = metadata.tables["secrets"]
devices = metadata.tables["devices"]
api_keys = metadata.tables["api_keys"]
templates = metadata.tables["templates"]
token_usage = metadata.tables["token_usage"]
deleted = metadata.tables["deleted"]
audit_log = metadata.tables["audit_log"]
kept_settings = metadata.tables["kept_settings"]
