"""Publishes messages to devices at once, and drops those for which the broker has no room yet."""

from asyncio import Future
from collections import deque
from contextlib import suppress

from gateway.contract.errors import GatewayError
from transports.mqtt.link.link import Envelope, Link, Receipt

EXPIRY_S = 60.0
MAX_UNANSWERED = 128
"""Maximum number of messages that the broker has not acknowledged; later ones are dropped until it has."""


class BoundedSender:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._unanswered: deque[Future[Receipt]] = deque()

    def send(self, topic: str, payload: bytes, id: str | None = None) -> bool:
        """Publish one message. False if it was dropped. id: of the chat that it answers."""
        waiting = self._unanswered
        while waiting and waiting[0].done():
            waiting.popleft()
        if len(waiting) >= MAX_UNANSWERED:
            return False
        with suppress(GatewayError):  # a full link, or a broker that takes only smaller messages
            waiting.append(self._link.publish(topic, payload, envelope=Envelope(EXPIRY_S, correlation=id)))
            return True
        return False
