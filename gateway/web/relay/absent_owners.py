"""Logs gateways that live, but do not answer at their INTERNAL_URL."""

import logging
import math
import time
from collections.abc import Callable, Collection

from gateway.contract.reply_owners import ReplyOwner

log = logging.getLogger("sluice.relay")

REPLACED_S = 5.0
"""Seconds within which a dead owner is replaced. One that is still the owner then lives."""


class AbsentOwners:
    """Logs each one once. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failing_since: dict[str, float] = {}

    def failed(self, owner: ReplyOwner) -> None:
        """A request to this owner got no answer."""
        now = self._clock()
        since = self._failing_since.setdefault(owner.name, now)
        if now - since >= REPLACED_S:
            self._failing_since[owner.name] = math.inf  # it is in the log
            log.warning(
                "gateway %s lives, and this one gets no answer at its INTERNAL_URL %s: its replies cannot be "
                "read here. Set its INTERNAL_URL to an address and port that this machine reaches; sluice "
                "doctor tries those of all gateways",
                owner.name.partition("/")[0],
                owner.url,
            )

    def answered(self, owner: ReplyOwner) -> None:
        self._failing_since.pop(owner.name, None)

    def forget(self, owners: Collection[str]) -> None:
        """These gateways do not live any more."""
        for name in owners:
            self._failing_since.pop(name, None)
