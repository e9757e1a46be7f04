"""Drops the beginning of a reply that is known already, for a reader or for the journal."""

from collections.abc import Awaitable, Sequence

from gateway.contract.dialect import Encoder
from gateway.contract.errors import GatewayError, Interrupted
from gateway.contract.events import (
    Delta,
    Progress,
    ReaderEvent,
    Reasoning,
    Started,
    ToolCall,
    TransportEvent,
)
from gateway.contract.journal import Position
from gateway.contract.transport import Hear

REPLACED = "\ufffd"
"""The store has it in place of characters that a database refuses."""


class SkippingEncoder:
    """Encodes a reply from its first event on, for a reader that has it up to a position.

    The reader may be ahead of the events that there are: it gets nothing until they have reached it.
    """

    def __init__(self, encoder: Encoder, after: Position) -> None:
        self._encoder = encoder
        self._chars = after.chars
        self._thoughts = after.thoughts
        self._calls = after.calls

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Delta):
            if self._chars:
                known, self._chars = self._chars, max(0, self._chars - len(event.text))
                event = Delta(event.text[known:])
                if not event.text:
                    return ()
        elif isinstance(event, Reasoning):
            if self._thoughts:
                known, self._thoughts = self._thoughts, max(0, self._thoughts - len(event.text))
                event = Reasoning(event.text[known:])
                if not event.text:
                    return ()
        elif isinstance(event, ToolCall):
            if self._calls:
                self._calls -= 1
                self._encoder.frames(event)  # it numbers the calls
                return ()
        elif isinstance(event, Started) or (isinstance(event, Progress) and self._chars + self._thoughts):
            return ()
        return self._encoder.frames(event)


class Rejoin:
    """Passes on what is new of a reply that its generator sends again from the beginning.

    Raises Interrupted, from `hear` and `check_end`, if it does not begin with the text that there was.

    Attributes:
        is_new: all that follows is new.
        failure: that `hear` raised.

    Args:
        hear: gets the new events.
        text: so far.
        reasoning: so far.
        calls: number of tool calls that `hear` got before.
        is_told: False if `hear` did not get text and reasoning before: they are only compared.
    """

    def __init__(self, hear: Hear, text: str, reasoning: str, calls: int, *, is_told: bool = True) -> None:
        self._hear = hear
        self._text = _Known(text, is_told)
        self._reasoning = _Known(reasoning, is_told)
        self._calls = calls
        self._begins_at_end = False
        self.is_new = False
        self.failure: GatewayError | None = None

    def begin_at_end(self) -> None:
        """The generator begins behind what is known, if it sends anything."""
        self._begins_at_end = True

    def hear(self, events: Sequence[TransportEvent]) -> Awaitable[None] | None:
        """See Hear."""
        try:
            return self._heard(events)
        except GatewayError as error:
            self.failure = error
            raise

    def _heard(self, events: Sequence[TransportEvent]) -> Awaitable[None] | None:
        if self.is_new or self._begins_at_end:
            self.is_new = True
            return self._hear(events)
        new = [rest for event in events if (rest := self._rest_of(event)) is not None]
        self.is_new = self._text.is_over and self._reasoning.is_over and not self._calls
        return self._hear(new) if new else None

    def check_end(self) -> None:
        """The generator has sent the whole reply."""
        is_known = self._text.is_over and self._reasoning.is_over
        if not (self.is_new or self._begins_at_end or is_known):
            raise _other_reply()

    def _rest_of(self, event: TransportEvent) -> TransportEvent | None:
        if isinstance(event, Delta):
            text = self._text.rest_of(event.text)
            return Delta(text) if text else None
        if isinstance(event, Reasoning):
            text = self._reasoning.rest_of(event.text)
            return Reasoning(text) if text else None
        if isinstance(event, ToolCall) and self._calls:
            self._calls -= 1
            return None
        if isinstance(event, Progress) and not (self._text.is_over and self._reasoning.is_over):
            return None
        return event


class _Known:
    """The text of one kind that is known."""

    def __init__(self, text: str, is_told: bool) -> None:
        self._text = text
        self._told_chars = len(text) if is_told else 0
        self._at = 0

    @property
    def is_over(self) -> bool:
        return self._at >= len(self._text)

    def rest_of(self, said: str) -> str:
        """Compare the next piece with the known text, and return its part that is new."""
        at, self._at = self._at, self._at + len(said)
        known = self._text[at : self._at]
        if not said.startswith(known) and not _is_stored_as(said, known):
            raise _other_reply()
        return said[max(0, self._told_chars - at) :]


def _is_stored_as(said: str, known: str) -> bool:
    return all(kept in (char, REPLACED) for char, kept in zip(said, known, strict=False))


def _other_reply() -> Interrupted:
    return Interrupted("The gateway ended before the reply did, and its generator now has another reply.")
