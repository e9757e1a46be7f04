"""Leaves out the oldest of a session's messages while the conversation is too long for the model."""

from collections.abc import Sequence
from itertools import dropwhile

from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn


def without_older_half(request: ChatRequest) -> ChatRequest | None:
    """Return the request without the older half of its earlier turns; None if it must stay as it is.

    Instructions and the question stay, and with it a reply that is to go on. The rest begins with a question.
    """
    head, earlier, question = _apart(request.turns)
    if not request.is_stored or not earlier:
        return None
    newer = earlier[(len(earlier) + 1) // 2 :]
    kept = dropwhile(lambda turn: turn.role != "user", newer)
    return replace(request, turns=[*head, *kept, *question])


def _apart(turns: Sequence[Turn]) -> tuple[Sequence[Turn], Sequence[Turn], Sequence[Turn]]:
    begin = next((at for at, turn in enumerate(turns) if turn.role != "system"), len(turns))
    end = next((at for at in reversed(range(len(turns))) if turns[at].role == "user"), begin)
    return turns[:begin], turns[begin:end], turns[end:]
