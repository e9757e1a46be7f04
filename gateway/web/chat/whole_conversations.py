"""Requests that contain the whole conversation: the turn that is stored, and the model that is named."""

from collections.abc import Sequence

from gateway.contract.content import Content
from gateway.contract.requests import Turn
from gateway.dialects.openai import DEFAULT_MODEL
from gateway.web.services import Services


def latest_question(turns: Sequence[Turn]) -> tuple[int, Content]:
    """Return index and content of the turn to store: the last one of the user, else the last one."""
    asked = [at for at, turn in enumerate(turns) if turn.role == "user"]
    at = asked[-1] if asked else len(turns) - 1
    return at, turns[at].content


def answering_model(gateway: Services, wanted: str | None) -> str:
    """Return the name of the model for the response: the one that will answer, if the transports know it."""
    models = gateway.modes.models()
    if wanted in models or not models:
        return wanted or DEFAULT_MODEL
    return models[0]
