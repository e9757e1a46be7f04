"""Facts of a running reply that its next owner needs. They are stored with its handle."""

from collections.abc import Mapping
from typing import Any, get_type_hints

from msgspec import Struct
from msgspec.structs import asdict

KEY = "reply"
"""Entry of the stored handle that has the facts; the others are the transport's."""


class ReplyFacts(Struct, frozen=True):
    """Facts of one reply. Times are seconds since the epoch.

    Attributes:
        mode: of the transport that has the request.
        asked_at: when it was asked.
        deadline_s: maximum seconds for the whole reply.
        model: named by the request.
        chosen_mode: the gateway's mode.
        resumable: readers may return.
        unattended: it continues without readers.
        exact: the lengths of its events are recorded.
        dialect: name of the client's dialect.
        chat: Idempotency-Key of the chat of a device that asked.
        key_id: of the API key that pays for it.
        prompt_chars: length of its prompt.
        trace: `traceparent` of the request.
        earlier_thoughts: length of the reasoning before the place where the reply was continued.
        first_s: seconds from the question to the first content.
    """

    mode: str = ""
    asked_at: float = 0.0
    deadline_s: float = 0.0
    model: str | None = None
    chosen_mode: str = ""
    resumable: bool = True
    unattended: bool = False
    exact: bool = False
    dialect: str = ""
    chat: str | None = None
    key_id: int | None = None
    prompt_chars: int = 0
    trace: str | None = None
    earlier_thoughts: int = 0
    first_s: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the facts that differ from the defaults."""
        return {name: value for name, value in asdict(self).items() if value != getattr(_DEFAULTS, name)}


_DEFAULTS = ReplyFacts()


def facts_in(handle: Mapping[str, Any]) -> ReplyFacts:
    """Return the facts in a stored handle. Values of another version that do not fit are left out."""
    stored = handle.get(KEY)
    if not isinstance(stored, Mapping):
        return ReplyFacts()
    return ReplyFacts(
        **{name: stored[name] for name, kind in _KINDS.items() if _fits(stored.get(name), kind)}
    )


_KINDS: Mapping[str, type] = get_type_hints(ReplyFacts)
_LARGEST = 2.0**62


def _fits(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, int | float):
        fits = isinstance(value, kind) or kind in (float, float | None)
        return fits and 0 <= value < _LARGEST
    return value is not None and isinstance(value, kind)
