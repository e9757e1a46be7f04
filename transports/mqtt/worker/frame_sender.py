"""Sends the encoded frames of one reply, and waits for the broker's acknowledgements."""

from asyncio import Future
from collections import deque

from transports.mqtt.link.link import Envelope, Link, Receipt

UNANSWERED_MAX = 8


class FrameSender:
    """Publishes frames on `topic` at once and in order. Await `written` for back pressure.

    unheard: the broker reported that these messages have no subscriber.
    """

    def __init__(self, link: Link, topic: str) -> None:
        self._link = link
        self.topic = topic
        self.unheard = False
        self._unanswered: deque[Future[Receipt]] = deque()

    @property
    def attached(self) -> bool:
        """True if a gateway gets the frames."""
        return True

    def room(self) -> int:
        """Return the largest payload in bytes."""
        return self._link.room(self.topic)

    def send(self, payload: bytes, envelope: Envelope | None = None) -> None:
        """Send one frame. Raises TooLarge and Overloaded as the link does."""
        self._unanswered.append(self._link.publish(self.topic, payload, envelope=envelope))

    @property
    def has_receipts(self) -> bool:
        """True if `written` has something to wait for."""
        unanswered = self._unanswered
        return bool(unanswered) and (len(unanswered) > UNANSWERED_MAX or unanswered[0].done())

    async def written(self, at_most: int = UNANSWERED_MAX) -> bool:
        """Wait while more than `at_most` messages are unacknowledged; False if a lost connection had one."""
        while self._unanswered and (len(self._unanswered) > at_most or self._unanswered[0].done()):
            receipt = await self._unanswered.popleft()
            if receipt is Receipt.NOBODY:
                self.unheard = True
            elif not receipt.arrived:
                return False
        return True
