"""Removes impossible token counts, which older versions stored."""

from alembic import op

revision = "0007"
down_revision = "0006"

# More than 10^9 tokens for one reply. Sums of such counts exceed 64 bits, and SQLite returns floats for them.
_FORGET = """
UPDATE messages SET prompt_tokens = NULL, completion_tokens = NULL, total_tokens = NULL
WHERE prompt_tokens > 1000000000 OR completion_tokens > 1000000000 OR total_tokens > 2000000000
"""
_COUNT_AGAIN = """
UPDATE token_usage SET
    prompt_tokens = (SELECT coalesce(sum(prompt_tokens), 0) {of_the_same}),
    completion_tokens = (SELECT coalesce(sum(completion_tokens), 0) {of_the_same}),
    total_tokens = (SELECT coalesce(sum(total_tokens), 0) {of_the_same})
WHERE prompt_tokens > 1000000000 * replies
   OR completion_tokens > 1000000000 * replies
   OR total_tokens > 2000000000 * replies
"""
_OF_THE_SAME = """
FROM messages
WHERE messages.role = 'assistant' AND messages.user_id = token_usage.user_id
  AND {day} = token_usage.day AND coalesce(messages.model, '') = token_usage.model
"""
_DAY = {
    "sqlite": "date(messages.created_at)",
    "postgresql": "to_char(messages.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}


def upgrade() -> None:
    op.execute(_FORGET)
    of_the_same = _OF_THE_SAME.format(day=_DAY[op.get_bind().dialect.name])
    op.execute(_COUNT_AGAIN.format(of_the_same=of_the_same))


def downgrade() -> None:
    """Do nothing: the wrong counts are not restored."""
