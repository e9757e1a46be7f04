"""Counts unusable messages by kind and logs the first of each topic, since there may be floods of them."""

import logging
from collections import Counter

from gateway.contract.errors import GatewayError

log = logging.getLogger(__name__)

MAX_TOPICS_LOGGED = 1_000


class Dropped(Counter[str]):
    """Number of dropped messages by kind."""

    def __init__(self) -> None:
        super().__init__()
        self._logged: set[str] = set()

    def drop(self, kind: str, topic: str, why: GatewayError) -> None:
        self[kind] += 1
        if topic not in self._logged and len(self._logged) < MAX_TOPICS_LOGGED:
            self._logged.add(topic)
            log.warning("dropped a message on %s: %s", topic, why)
