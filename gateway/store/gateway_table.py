"""The table of the gateways that run on this database."""

from datetime import datetime

from sqlmodel import Field

from gateway.store.columns import StorableText, UtcTime
from gateway.store.table_base import Kept


class GatewayRow(Kept, table=True):
    """A running gateway. It belongs to no user, so it has no user_id.

    Only PostgreSQL has rows: a SQLite file has one gateway at a time.

    Attributes:
        owner: `name/incarnation`, as in messages.owner.
        internal_url: base address at which other gateways reach it; NULL: they do not.
        started_at: by the database's clock.
        seen_at: by the database's clock; renewed every second.
    """

    __tablename__ = "gateways"

    owner: str = Field(sa_type=StorableText, primary_key=True)
    internal_url: str | None = Field(default=None, sa_type=StorableText)
    started_at: datetime = Field(sa_type=UtcTime)
    seen_at: datetime = Field(sa_type=UtcTime)


gateways = Kept.metadata.tables["gateways"]
