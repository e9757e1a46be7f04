"""Another gateway under our name: looked for before we start, noticed while we run."""

import asyncio
from asyncio import Future

from gateway.contract.errors import ProtocolViolation
from transports.mqtt.link.link import Link
from transports.mqtt.protocol.frames import Status, decode_status

CONNECT_S = 3.0
RETAINED_S = 0.5
"""A broker sends what it has retained right behind its answer to a subscription, but not all say when that
was all."""
LONGEST_HEARTBEAT_S = 15.0


async def namesake_lives(lookout: Link, status_topic: str) -> bool:
    """Whether somebody else says now, on our own topic, that he is there.

    lookout: under another client id, since our own would push him off the broker. A retained status may be of
    yesterday: if it says that he is there he gets one heartbeat, at most LONGEST_HEARTBEAT_S, to say so
    again. A broker that is away is not waited for.

    Where the broker takes our username for our client id, the lookout does push him off. Then it finds his
    will, and he is back in a moment and pushes it off in turn.
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
            # A heartbeat is a pause, and what is done at its end takes its time too.
            wait(1.1 * min(status.heartbeat_s, LONGEST_HEARTBEAT_S))

    lookout.subscribe(status_topic, hear)
    lookout.watch(connection_changed)
    try:
        async with patience, lookout.running():
            return await answer
    except TimeoutError:
        return False


class OwnTopic:
    """What comes back on our own status topic while we run: we ourselves, old wills, a namesake.

    incarnation: ours. Two who share a client id push each other off the broker, so neither hears the other
    speak; but each finds the other's last word when it comes back, where its own should be.
    """

    def __init__(self, incarnation: int) -> None:
        self._incarnation = incarnation
        self._heard_ourselves = False
        self.namesake_at: float | None = None

    def take(self, status: Status, *, retained: bool, now: float) -> bool:
        """Learn one status; whether it has to be contradicted, because all workers hear that we are gone."""
        lost = status.state == "lost"
        if status.incarnation == self._incarnation:
            self._heard_ourselves = True
        elif (retained and self._heard_ourselves) or not (retained or lost):
            self.namesake_at = now
        return lost
