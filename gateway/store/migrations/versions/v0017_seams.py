"""Adds the places at which another server or worker went on with a reply."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("messages", sa.Column("seams", sa.JSON()))


def downgrade() -> None:
    op.drop_column("messages", "seams")
