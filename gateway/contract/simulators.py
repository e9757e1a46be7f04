"""The interface to simulated parts: a device or a worker that the gateway plays, over the real broker."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PassedFrame:
    """One MQTT message. sent: True if the part sent it, False if it received it."""

    sent: bool
    topic: str
    payload: bytes


HearFrame = Callable[[PassedFrame], None]
"""Called with each message that the part sends or receives. It must not block."""


@dataclass(frozen=True, slots=True)
class SimulatedPart:
    """A device or a worker.

    Attributes:
        name: the name in its topics.
        model: the only model of a worker; it gets only requests that name it. None for a device.
        play: connects it until the call is cancelled; the call of a device that is in no room returns after
            the last frame of its answer. Raises UpstreamFailed if the broker does not let it publish.
    """

    name: str
    model: str | None
    play: Callable[[HearFrame], Awaitable[None]]


class Simulators(Protocol):
    def device(self, text: str) -> SimulatedPart:
        """Return a device that asks this question once."""
        ...

    def member(self, room_key: str) -> SimulatedPart:
        """Return the same device in a room: it hears the room, and says what `say` is called with."""
        ...

    def say(self, text: str, ask: bool | None = None) -> None:
        """Let the device that is being played in a room say this there. Raises Conflict if there is none.

        ask: if the message asks the model; None lets the room decide.
        """
        ...

    def worker(self) -> SimulatedPart:
        """Return a worker that writes a fixed text, word by word."""
        ...
