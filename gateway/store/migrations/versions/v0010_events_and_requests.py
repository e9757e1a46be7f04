"""The lengths of a reply's events, and the request of its client."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("messages", sa.Column("event_lengths", sa.LargeBinary()))
    op.add_column("messages", sa.Column("request", sa.LargeBinary()))


def downgrade() -> None:
    op.drop_column("messages", "request")
    op.drop_column("messages", "event_lengths")
