"""Detects a broker that forbids this client to publish under its own name."""

import asyncio
import logging
from asyncio import Future, TimerHandle

from transports.mqtt.link.link import Link, Receipt

log = logging.getLogger(__name__)

COMES_BACK_S = 5.0
FORBIDDEN_NAME = "the MQTT broker does not let us publish under our own name"


def forbidden_name(username: str, setting: str, name: str) -> str:
    """Return the error text for a broker that forbids this client to publish under its name.

    Args:
        username: MQTT_USERNAME, maybe empty.
        setting: the setting of the name, such as GATEWAY_NAME.
        name: the MQTT client id.
    """
    dot = "; RabbitMQ takes no name with a dot" if "." in name else ""
    return (
        f"the MQTT broker does not let MQTT_USERNAME={username or '(none)'} publish as "
        f"{setting}={name}: give both the same name, and let the broker's ACL allow it{dot}"
    )


class NameCheck:
    """Checks the broker's reaction to this client's status, the first message that it publishes.

    An MQTT 5 broker refuses it in its PUBACK. A 3.1.1 broker acknowledges and drops it: then our own
    subscription does not receive it.

    forbidden: the error text, which is logged, and is `problem` while the name is forbidden.
    """

    def __init__(self, link: Link, forbidden: str) -> None:
        self._link = link
        self._forbidden = forbidden
        self._timer: TimerHandle | None = None
        self._logged = False
        self._is_back = False
        self.problem: str | None = None
        link.watch(self._connection_changed)

    def said(self, receipt: Future[Receipt]) -> None:
        """Take the receipt of our published status. The status may be received before the acknowledgement."""
        self._is_back = False
        receipt.add_done_callback(self._done)

    def came_back(self) -> None:
        """Our own status was received."""
        self._is_back = True
        self._forget_timer()
        self.problem = None
        self._logged = False

    def _done(self, receipt: Future[Receipt]) -> None:
        if not receipt.cancelled():  # nobody waits any longer: the program ends
            self._answered(receipt.result())

    def _answered(self, receipt: Receipt) -> None:
        if receipt is Receipt.REFUSED:
            self._found()
        elif receipt.arrived and self._link.tells_refusals:
            self.came_back()
        elif receipt.arrived and not self._is_back and self._timer is None and self.problem is None:
            self._timer = asyncio.get_running_loop().call_later(COMES_BACK_S, self._found)

    def _found(self) -> None:
        self._forget_timer()
        self.problem = self._forbidden
        if not self._logged:
            log.error("%s", self._forbidden)
        self._logged = True

    def _connection_changed(self, connected: bool) -> None:
        if not connected:
            self._forget_timer()
            self.problem = None

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
