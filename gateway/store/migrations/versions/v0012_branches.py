"""Adds the branch that a session shows, and the places at which a reply was continued."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("sessions", sa.Column("leaf_id", row_id))
    op.add_column("messages", sa.Column("continued", sa.JSON()))
    op.create_index("ix_messages_children", "messages", ["session_id", "parent_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_messages_children", "messages")
    op.drop_column("messages", "continued")
    op.drop_column("sessions", "leaf_id")
