"""Limits of API keys: tokens per day with the tokens of the latest day, and the time of expiry."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("tokens_per_day", sa.BigInteger()))
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.add_column("api_keys", sa.Column("changes", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("api_keys", sa.Column("used_day", sa.Text()))
    op.add_column("api_keys", sa.Column("used_tokens", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    for name in ("used_tokens", "used_day", "changes", "expires_at", "tokens_per_day"):
        op.drop_column("api_keys", name)
