"""Adds notes: messages that ask nothing; and the ids that clients give to messages."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("messages", sa.Column("origin", sa.Text()))
    op.add_column("messages", sa.Column("client_id", sa.Text()))
    named = sa.text("client_id IS NOT NULL")
    op.create_index(
        "ix_messages_client_id",
        "messages",
        ["session_id", "client_id"],
        sqlite_where=named,
        postgresql_where=named,
    )


def downgrade() -> None:
    op.drop_index("ix_messages_client_id", "messages")
    op.drop_column("messages", "client_id")
    op.drop_column("messages", "origin")
