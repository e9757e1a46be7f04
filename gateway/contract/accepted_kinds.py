"""Refuses requests with images or sound that a model or worker does not accept."""

from gateway.contract.content import Kind, kinds_in
from gateway.contract.errors import UnsupportedContent
from gateway.contract.requests import ChatRequest

ALL_KINDS: frozenset[Kind] = frozenset({"image", "audio"})
_NAMES: dict[Kind, str] = {"image": "images", "audio": "sound"}


def kinds_of(request: ChatRequest) -> frozenset[Kind]:
    """Return the kinds of content in the request other than text."""
    return frozenset(kinds_in(turn.content for turn in request.turns))


def check_accepts(request: ChatRequest, accepts: frozenset[Kind], answerer: str = "This model") -> None:
    """Raise UnsupportedContent if the request contains a kind that is not in `accepts`.

    Args:
        request: the request to check.
        accepts: the kinds besides text that the model accepts.
        answerer: the subject of the error's sentence.
    """
    check_kinds(kinds_of(request), accepts, answerer)


def check_kinds(kinds: frozenset[Kind], accepts: frozenset[Kind], answerer: str = "This model") -> None:
    """Apply check_accepts to the result of kinds_of."""
    missing = kinds - accepts
    if missing:
        names = " or ".join(sorted(_NAMES[kind] for kind in missing))
        raise UnsupportedContent(
            f"{answerer} accepts no {names}: send the text alone, or choose another model."
        )
