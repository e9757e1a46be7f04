"""The subscriptions of one link: the topic filters for the broker, and the handler of each topic."""

import logging

from transports.mqtt.link.link import MessageHandler

log = logging.getLogger(__name__)


class Subscriptions:
    """qos: maximum quality of service at which the broker delivers, 0 or 1."""

    def __init__(self, qos: int = 1) -> None:
        self._qos = qos
        self._filters: list[tuple[str, str | None]] = []
        self._routes: list[tuple[str, str, MessageHandler]] = []

    def add(self, topic_filter: str, handler: MessageHandler, group: str | None = None) -> None:
        """See `Link.subscribe`."""
        prefix, _, suffix = topic_filter.partition("+")
        self._filters.append((topic_filter, group))
        self._routes.append((prefix, suffix, handler))

    def filters(self, *, shared: bool) -> list[tuple[str, int]]:
        """Return the topic filters with their QoS. shared: the broker has shared subscriptions.

        Source: MQTT 5.0, 4.8.2.
        """
        return [
            (f"$share/{group}/{topic_filter}" if shared and group else topic_filter, self._qos)
            for topic_filter, group in self._filters
        ]

    def dispatch(self, topic: str, payload: bytes, retained: bool) -> None:
        """Call the message's handler and log its errors. The reader calls this, and must not fail."""
        for prefix, suffix, handler in self._routes:
            if topic.startswith(prefix) and topic.endswith(suffix):
                try:
                    handler(topic, payload, retained)
                except Exception:
                    log.exception("the handler of %s failed", topic)
                return
