"""The hearers of signals by topic, and signals as text."""

import json
import logging
from collections.abc import Callable

from gateway.contract.signals import MAX_SIGNAL_BYTES, Body, Hear

log = logging.getLogger("sluice.signals")


def signal_text(sender: str, topic: str, body: Body) -> str:
    """Return a signal as JSON. Raises ValueError if it is too large."""
    text = json.dumps({"from": sender, "topic": topic, "body": body})  # ASCII: a character is a byte
    if len(text) > MAX_SIGNAL_BYTES:
        raise ValueError(f"a signal of {len(text)} bytes; the maximum is {MAX_SIGNAL_BYTES}")
    return text


class SignalTopics:
    """Calls the hearers of each signal. sender: the name of this gateway, whose own signals are ignored."""

    def __init__(self, sender: str) -> None:
        self.sender = sender
        self._hearers: dict[str, list[Hear]] = {}
        self._missed: list[Callable[[], None]] = []

    def on(self, topic: str, hear: Hear) -> None:
        self._hearers.setdefault(topic, []).append(hear)

    def on_missed(self, call: Callable[[], None]) -> None:
        self._missed.append(call)

    def deliver(self, text: str) -> None:
        """Deliver a signal. Text of other programs is ignored."""
        try:
            signal = json.loads(text)
            sender, topic, body = signal["from"], signal["topic"], signal["body"]
        except (ValueError, TypeError, KeyError):
            sender = topic = body = None
        if not isinstance(topic, str) or not isinstance(body, dict):
            log.warning("ignored a notification that is no signal: %.80r", text)
            return
        if sender != self.sender:
            for hear in self._hearers.get(topic, ()):
                hear(body)

    def miss(self) -> None:
        for call in self._missed:
            call()
