"""Functions on lists of a reply's events: is anything visible, and the same events merged."""

from collections.abc import Iterable

from gateway.contract.events import Delta, Progress, Reasoning, TransportEvent


def is_visible(events: Iterable[TransportEvent]) -> bool:
    return any(type(event) is not Progress for event in events)


def in_one_piece(events: list[TransportEvent]) -> list[TransportEvent]:
    """Return the same events, merged to at most one Reasoning and one Delta."""
    thought = "".join(event.text for event in events if isinstance(event, Reasoning))
    text = "".join(event.text for event in events if isinstance(event, Delta))
    rest = [event for event in events if not isinstance(event, Reasoning | Delta)]
    return [*([Reasoning(thought)] if thought else []), *([Delta(text)] if text else []), *rest]
