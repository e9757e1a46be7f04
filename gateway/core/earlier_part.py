"""Joins the stored part of a reply that is continued with the part that is generated now."""

from collections.abc import Sequence

from gateway.contract.continued import ReplySoFar, added
from gateway.contract.events import Delta, TransportEvent, Usage


class EarlierPart:
    """The stored part. reply: None for a new reply, which has none."""

    def __init__(self, reply: ReplySoFar | None) -> None:
        self.exists = reply is not None
        self._text = "" if reply is None else reply.content
        self._reasoning = None if reply is None else reply.reasoning
        self._model = None if reply is None else reply.model
        self.usage = None if reply is None else reply.usage

    def __len__(self) -> int:
        """Number of characters of its text."""
        return len(self._text)

    def and_text(self, new: str) -> str:
        return self._text + new

    def and_reasoning(self, new: str | None) -> str | None:
        return f"{self._reasoning or ''}{new or ''}" or None

    def and_usage(self, new: Usage | None) -> Usage | None:
        return added(self.usage, new) if self.exists else new

    def model_if(self, unknown: str | None) -> str | None:
        """Return the new model's name; if it is unknown, that of this part."""
        return unknown or self._model

    def left_out_of(self, whole: Sequence[TransportEvent]) -> Sequence[TransportEvent]:
        """Return a reply that arrived in one piece, without this part: llama.cpp repeats it unless it
        streams."""
        if not self._text:
            return whole
        return [
            Delta(rest)
            if isinstance(event, Delta) and (rest := event.text.removeprefix(self._text))
            else event
            for event in whole
            if event != Delta(self._text)
        ]
