"""Detects another gateway with the same name, before the start and while running."""

import asyncio
from asyncio import Future

from gateway.contract.errors import ProtocolViolation
from transports.mqtt.link.link import Link
from transports.mqtt.protocol.frame_codec import decode_status
from transports.mqtt.protocol.frames import Status

CONNECT_S = 3.0
RETAINED_S = 0.5
"""Time in which retained messages arrive after a subscription: not every broker marks the last one."""
LONGEST_HEARTBEAT_S = 15.0


async def namesake_lives(lookout: Link, status_topic: str) -> bool:
    """True if another gateway with our name is running, by the statuses on our own topic.

    A retained status may be old: the other gateway gets one heartbeat, at most LONGEST_HEARTBEAT_S, to
    publish it again. If the broker is unreachable, returns False without waiting.

    lookout: a link with another client id, since our own would disconnect the other gateway. If the broker
    uses the username as client id, the lookout disconnects it all the same. Then the lookout finds the
    other's will, and is disconnected in turn when the other returns a moment later.
    """
    loop = asyncio.get_running_loop()
    answer: Future[bool] = loop.create_future()
    patience = asyncio.timeout(CONNECT_S)
    found_a_will = False

    def settle(lives: bool) -> None:
        if not answer.done():
            answer.set_result(lives)

    def wait(seconds: float) -> None:
        if not answer.done():
            patience.reschedule(loop.time() + seconds)

    def connection_changed(connected: bool) -> None:
        if connected:
            wait(RETAINED_S)
        else:
            settle(found_a_will)

    def hear(topic: str, payload: bytes, retained: bool) -> None:
        nonlocal found_a_will
        try:
            status = decode_status(payload)
        except ProtocolViolation:
            return
        if status.state == "lost":
            found_a_will = True
            wait(RETAINED_S)
        elif status.heartbeat_s is None:
            settle(False)
        elif not retained:
            settle(True)
        else:
            # A heartbeat arrives a little later than its interval.
            wait(1.1 * min(status.heartbeat_s, LONGEST_HEARTBEAT_S))

    lookout.subscribe(status_topic, hear)
    lookout.watch(connection_changed)
    try:
        async with patience, lookout.running():
            return await answer
    except TimeoutError:
        return False


class OwnTopic:
    """Statuses received on our own topic while running: our own, old wills, those of another gateway.

    Two clients with one client id disconnect each other, so neither receives the other's live messages. But
    after reconnecting each finds the other's retained status in place of its own.

    incarnation: our own.
    """

    def __init__(self, incarnation: int) -> None:
        self._incarnation = incarnation
        self._heard_ourselves = False
        self.namesake_at: float | None = None

    def take(self, status: Status, *, retained: bool, now: float) -> bool:
        """Take one status. True if it says `lost`, so that we must publish ours again for the workers."""
        lost = status.state == "lost"
        if status.incarnation == self._incarnation:
            self._heard_ourselves = True
        elif (retained and self._heard_ourselves) or not (retained or lost):
            self.namesake_at = now
        return lost
