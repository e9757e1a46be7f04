"""The earlier messages of a session as a model gets them again, with or without their attachments."""

from collections.abc import Iterable
from dataclasses import replace

from gateway.contract.content import parts_of, text_of
from gateway.contract.errors import RequestRejected
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.store import StoredMessage
from gateway.core.failover import Route, fitting

LEFT_OUT = "(An attachment that is no longer sent.)"
"""In place of a message that was nothing but attachments: some models insist on turns in turn."""


def earlier_turns(messages: Iterable[StoredMessage]) -> list[Turn]:
    return [Turn(message.role, message.parts or message.content or LEFT_OUT) for message in messages]


def carried(route: Route, request: ChatRequest) -> tuple[Route, ChatRequest]:
    """As `fitting`, and the request as it can be carried: where earlier attachments prevent it, without them.

    So a session goes on with a model that takes no images, though it began with one that does.
    """
    try:
        return fitting(route, request), request
    except RequestRejected:
        *earlier, question = request.turns
        if not any(parts_of(turn.content) for turn in earlier):
            raise
        alone = [replace(turn, content=text_of(turn.content) or LEFT_OUT) for turn in earlier]
        request = replace(request, turns=[*alone, question])
        return fitting(route, request), request
