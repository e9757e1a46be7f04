"""Finds the place of a request's question in its session, from the conversation that the request repeats."""

from collections.abc import Sequence

from gateway.contract.branches import FIRST, Branch
from gateway.contract.requests import Turn


def branch_without_ids(turns: Sequence[Turn]) -> Branch:
    """Return the place if the client names no messages: results of tools continue a stored reply."""
    latest = next((turn.role for turn in reversed(turns) if turn.role != "system"), None)
    return Branch(None, "answered" if latest == "tool" else "now")


def branch_of(messages: Sequence[tuple[str, str | None]], *, again: bool = False) -> Branch | None:
    """Return the place of the last message.

    Args:
        messages: the role of each, and for an assistant's the uuid or stream id of the reply.
        again: True if the question was asked before.
    """
    spoken = [message for message in messages if message[0] != "system"]
    if not spoken:
        return None
    replies = [name for role, name in spoken if role == "assistant"]
    if spoken[-1][0] != "user":
        return Branch(replies[-1] if replies else None, "answered")
    if len(spoken) == 1:
        return Branch(FIRST, "again" if again else "now")
    role, name = spoken[-2]
    return Branch(name if role == "assistant" else None, "again" if again else "now")
