"""Adds parents and authors of messages, and the gateway of a reply: owner, epoch and handle."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

# Until now a session was linear: each message follows the one before it.
_FILL = """
WITH placed AS (
    SELECT id, lag(id) OVER (PARTITION BY session_id ORDER BY id) AS before FROM messages
)
UPDATE messages
SET parent_id = placed.before,
    author = CASE role WHEN 'user' THEN 'user:' || user_id ELSE 'assistant:' || coalesce(model, '') END
FROM placed
WHERE placed.id = messages.id
"""


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("messages", sa.Column("parent_id", row_id))
    op.add_column("messages", sa.Column("author", sa.Text(), nullable=False, server_default=""))
    op.add_column("messages", sa.Column("owner", sa.Text()))
    op.add_column("messages", sa.Column("epoch", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("messages", sa.Column("handle", sa.JSON()))
    op.add_column("messages", sa.Column("error_retryable", sa.Boolean()))
    op.execute(_FILL)


def downgrade() -> None:
    for column in ("error_retryable", "handle", "epoch", "owner", "author", "parent_id"):
        op.drop_column("messages", column)
