"""Adds message parts: images, sound and files."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("messages", sa.Column("parts", sa.LargeBinary()))


def downgrade() -> None:
    op.drop_column("messages", "parts")
