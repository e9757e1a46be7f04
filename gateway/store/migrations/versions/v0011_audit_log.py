"""Adds the audit log, and settings that administrators change while the gateway runs."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", row_id, nullable=False),
        sa.Column("at", time, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key_id", row_id),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "kept_settings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("key_id", row_id),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("set_at", time, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_kept_settings"),
    )


def downgrade() -> None:
    op.drop_table("kept_settings")
    op.drop_table("audit_log")
