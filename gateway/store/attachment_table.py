"""The table of uploaded attachments."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field

from gateway.store.columns import RowId, StorableText, UtcTime
from gateway.store.table_base import Kept


class AttachmentRow(Kept, table=True):
    """A file that a user uploaded. Messages that name it have a copy."""

    __tablename__ = "attachments"
    __table_args__ = (
        UniqueConstraint("uuid"),
        Index("ix_attachments_user_id", "user_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_type=RowId, primary_key=True)
    uuid: str = Field(sa_type=StorableText)
    user_id: str = Field(sa_type=StorableText)
    name: str = Field(sa_type=StorableText)
    media_type: str = Field(sa_type=StorableText)
    size: int = Field(sa_type=BigInteger)
    created_at: datetime = Field(sa_type=UtcTime)
    data: bytes = Field(sa_type=LargeBinary)


attachments = Kept.metadata.tables["attachments"]
