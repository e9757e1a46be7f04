"""The table of the members of rooms."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from gateway.store.columns import RowId, StorableText, UtcTime
from gateway.store.table_base import Kept


class RoomMemberRow(Kept, table=True):
    """A member of a room, which is a session with at least one such row. It may be a device, so `name` is no
    user_id.

    A role changes by a new row: the largest id and the number of rows tell if any membership has changed.
    """

    __tablename__ = "room_members"
    __table_args__ = (
        UniqueConstraint("session_id", "kind", "name"),
        Index("ix_room_members_name", "kind", "name", "role"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_type=RowId, primary_key=True)
    session_id: int = Field(sa_type=RowId, foreign_key="sessions.id", ondelete="CASCADE")
    kind: str = Field(sa_type=StorableText)
    name: str = Field(sa_type=StorableText)
    role: str = Field(sa_type=StorableText)
    created_at: datetime = Field(sa_type=UtcTime)


room_members = Kept.metadata.tables["room_members"]
