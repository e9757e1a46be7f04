"""Adds threads, which identify conversations without a given session, and registered devices."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
threaded = sa.text("thread IS NOT NULL")


def upgrade() -> None:
    op.add_column("sessions", sa.Column("thread", sa.Text()))
    op.create_index(
        "ix_sessions_thread",
        "sessions",
        ["user_id", "thread", "updated_at"],
        sqlite_where=threaded,
        postgresql_where=threaded,
    )

    op.create_table(
        "devices",
        sa.Column("id", row_id, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        sa.UniqueConstraint("name", name="uq_devices_name"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("devices")
    op.drop_index("ix_sessions_thread", "sessions")
    op.drop_column("sessions", "thread")
