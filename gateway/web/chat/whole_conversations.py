"""Requests that contain the whole conversation: the turn that is stored, and the model that is named."""

from collections.abc import Iterable, Sequence
from itertools import takewhile

from gateway.contract.content import Content
from gateway.contract.requests import Turn
from gateway.dialects.openai import DEFAULT_MODEL
from gateway.web.services import Services


def latest_question(turns: Sequence[Turn]) -> tuple[int, Content]:
    """Return index and content of the turn to store: the last one of the user, else the last one."""
    asked = [at for at, turn in enumerate(turns) if turn.role == "user"]
    at = asked[-1] if asked else len(turns) - 1
    return at, turns[at].content


def with_one_beginning(turns: Iterable[Turn]) -> list[Turn]:
    """Return the turns with the system turns at the beginning as one: many models' templates refuse a second.

    Clients send several, and APIs may have a field for instructions beside the messages.
    """
    turns = list(turns)
    opening = list(takewhile(lambda turn: turn.role == "system" and isinstance(turn.content, str), turns))
    if len(opening) < 2:
        return turns
    said = "\n\n".join(str(turn.content) for turn in opening if turn.content)
    return [Turn("system", said), *turns[len(opening) :]]


def answering_model(gateway: Services, wanted: str | None) -> str:
    """Return the name of the model for the response: the one that will answer, if the transports know it."""
    models = gateway.modes.models()
    if wanted in models or not models:
        return wanted or DEFAULT_MODEL
    return models[0]
