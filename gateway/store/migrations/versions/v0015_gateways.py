"""Adds the gateways that run on this database."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "gateways",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("internal_url", sa.Text()),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_gateways"),
    )


def downgrade() -> None:
    op.drop_table("gateways")
