"""Watches the gateways that a worker serves, so that it stops replies that no gateway would receive."""

import asyncio
from asyncio import TimerHandle
from collections.abc import Callable

from transports.mqtt.protocol.frames import Status

KNOWN_GATEWAYS = 1_000


class GatewayWatch:
    """Calls `gone` with a gateway's name when it has been lost for `grace_s` seconds; and when it has
    restarted, also with its new incarnation.

    Stores only the latest KNOWN_GATEWAYS: a broker may let any client publish a gateway's status.
    """

    def __init__(self, grace_s: float, gone: Callable[[str, int | None], None]) -> None:
        self._grace_s = grace_s
        self._gone = gone
        self._lives: dict[str, int] = {}
        self._leaving: dict[str, TimerHandle] = {}

    def take(self, name: str, status: Status) -> None:
        """Take one gateway's status. A `lost` of an earlier incarnation is ignored."""
        known = self._lives.pop(name, None)
        if status.state != "lost":
            self._lives[name] = status.incarnation
            if len(self._lives) > KNOWN_GATEWAYS:
                del self._lives[next(iter(self._lives))]
            self._forget_timer(name)
            if known is not None and known != status.incarnation:
                self._gone(name, status.incarnation)
            return
        if known is not None:
            self._lives[name] = known
            if 0 < status.incarnation < known:
                return
        if name not in self._leaving and len(self._leaving) < KNOWN_GATEWAYS:
            loop = asyncio.get_running_loop()
            self._leaving[name] = loop.call_later(self._grace_s, self._grace_is_over, name)

    def incarnation_of(self, name: str) -> int:
        """Return the incarnation that the gateway announced last; 0 if unknown."""
        return self._lives.get(name, 0)

    def close(self) -> None:
        for name in list(self._leaving):
            self._forget_timer(name)

    def _grace_is_over(self, name: str) -> None:
        self._forget_timer(name)
        self._gone(name, None)

    def _forget_timer(self, name: str) -> None:
        timer = self._leaving.pop(name, None)
        if timer is not None:
            timer.cancel()
