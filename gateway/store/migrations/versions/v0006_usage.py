"""Adds usage by day, user and model, counts of deleted rows, and durations of replies."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# All replies except interrupted ones. The day is that of their start, nearly always also that of their end.
_USED = """
INSERT INTO token_usage
       (user_id, day, model, replies, tool_calls, prompt_tokens, completion_tokens, total_tokens)
SELECT user_id, {day}, coalesce(model, ''), count(*), coalesce(sum(json_array_length(tool_calls)), 0),
       coalesce(sum(prompt_tokens) {possible}, 0), coalesce(sum(completion_tokens) {possible}, 0),
       coalesce(sum(total_tokens) {possible}, 0)
FROM messages
WHERE role = 'assistant' AND status <> 'streaming' AND coalesce(reason, '') <> 'interrupted'
GROUP BY user_id, {day}, coalesce(model, '')
"""
# Sums of the others can exceed 64 bits; 0007 removes them from the messages.
_POSSIBLE = """
FILTER (WHERE coalesce(prompt_tokens, 0) <= 1000000000 AND coalesce(completion_tokens, 0) <= 1000000000
        AND coalesce(total_tokens, 0) <= 2000000000)
"""
_DELETED = "INSERT INTO deleted (name, rows) SELECT '{table}', ({made}) - (SELECT count(*) FROM {table})"
_DAY = {"sqlite": "date(created_at)", "postgresql": "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"}
_MADE = {
    "sqlite": "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '{table}'",
    "postgresql": "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {table}_id_seq",
}


def upgrade() -> None:
    op.add_column("messages", sa.Column("response_ms", sa.Float()))
    op.create_table(
        "token_usage",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("replies", sa.BigInteger(), nullable=False),
        sa.Column("tool_calls", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "day", "model", name="pk_token_usage"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_token_usage_day", "token_usage", ["day"])
    op.create_table(
        "deleted",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_deleted"),
    )
    database = op.get_bind().dialect.name
    op.execute(_USED.format(day=_DAY[database], possible=_POSSIBLE))
    for table in ("messages", "sessions"):
        op.execute(_DELETED.format(table=table, made=_MADE[database].format(table=table)))


def downgrade() -> None:
    op.drop_table("deleted")
    op.drop_table("token_usage")
    op.drop_column("messages", "response_ms")
