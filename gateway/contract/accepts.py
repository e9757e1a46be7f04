"""Images and sound: the refusal of content that a model or worker does not take."""

from gateway.contract.content import Kind, kinds_in
from gateway.contract.errors import UnsupportedContent
from gateway.contract.requests import ChatRequest

ALL_KINDS: frozenset[Kind] = frozenset({"image", "audio"})
_NAMES: dict[Kind, str] = {"image": "images", "audio": "sound"}


def kinds_of(request: ChatRequest) -> frozenset[Kind]:
    """All that the request holds besides text."""
    return frozenset(kinds_in(turn.content for turn in request.turns))


def check_accepts(request: ChatRequest, accepts: frozenset[Kind], answerer: str = "This model") -> None:
    """Raise UnsupportedContent if the request holds what is not accepted. answerer: begins the sentence."""
    check_kinds(kinds_of(request), accepts, answerer)


def check_kinds(kinds: frozenset[Kind], accepts: frozenset[Kind], answerer: str = "This model") -> None:
    """As check_accepts, for what kinds_of gave."""
    missing = kinds - accepts
    if missing:
        names = " or ".join(sorted(_NAMES[kind] for kind in missing))
        raise UnsupportedContent(f"{answerer} takes no {names}: leave them out, or ask another model.")
