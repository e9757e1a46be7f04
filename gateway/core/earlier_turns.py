"""Converts a session's earlier messages to turns for the model, with or without their attachments."""

from collections.abc import Iterable

from gateway.contract.content import Content, File, Text, parts_of, text_of
from gateway.contract.errors import RequestRejected
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.store import StoredMessage
from gateway.core.failover import Route, fitting
from gateway.core.shared_turns import named

LEFT_OUT = "(An attachment that is no longer sent.)"
"""Replaces a message without text: some models need user and assistant turns to alternate."""


def earlier_turns(messages: Iterable[StoredMessage], *, with_names: bool = False) -> list[Turn]:
    """with_names: True names the authors of users' messages."""
    return [Turn(message.role, _content(message, with_names)) for message in messages]


def _content(message: StoredMessage, with_name: bool) -> Content:
    content = message.parts or message.content or LEFT_OUT
    return named(message.author, content) if with_name and message.role == "user" else content


def carried(route: Route, request: ChatRequest) -> tuple[Route, ChatRequest]:
    """Return `fitting(route, request)` and the request, without earlier attachments if no route accepts them.

    A session can then continue with a model that accepts no images. Raises RequestRejected.
    """
    try:
        return fitting(route, request), request
    except RequestRejected:
        *earlier, question = request.turns
        if not any(parts_of(turn.content) for turn in earlier):
            raise
        alone = [replace(turn, content=_without_media(turn.content)) for turn in earlier]
        request = replace(request, turns=[*alone, question])
        return fitting(route, request), request


def _without_media(content: Content) -> Content:
    """The text and the text files, which every model takes."""
    kept = tuple(part for part in parts_of(content) if isinstance(part, Text | File))
    has_file = any(isinstance(part, File) for part in kept)
    return kept if has_file else text_of(content) or LEFT_OUT
