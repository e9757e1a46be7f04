"""Adds event numbers of replies, and secrets that all processes share."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("messages", sa.Column("tool_call_seqs", sa.JSON()))
    op.add_column("messages", sa.Column("last_seq", sa.BigInteger()))

    op.create_table(
        "secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )


def downgrade() -> None:
    op.drop_table("secrets")
    op.drop_column("messages", "last_seq")
    op.drop_column("messages", "tool_call_seqs")
