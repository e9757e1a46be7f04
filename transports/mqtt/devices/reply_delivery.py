"""Sends one reply to one device, while the device and the broker may disconnect and return."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from gateway.contract.errors import GatewayError
from gateway.contract.events import Terminal
from gateway.contract.ingress import Hearing
from gateway.contract.journal import FellBehind
from transports.mqtt.devices.down_writer import DownWriter

TRIES = 30

NewWriter = Callable[[bool, bool], DownWriter]
"""Makes a DownWriter from its arguments `whole` and `anew`."""
Reading = Callable[[int], AbstractContextManager[Hearing]]
"""Opens the reply's events behind the event with this number."""


class ReplyDelivery:
    """Sends one device the frames of one reply, and exactly one last frame.

    When a frame may be lost, no further numbered frame is sent; one `reply` with the whole text follows when
    the reply has ended. A frame may be lost when the connection to the broker breaks, even if the broker had
    acknowledged it, when the device disconnects, and when `down` has no subscriber. A last frame that was
    unacknowledged when the connection broke is not sent again: the device may have received it, and otherwise
    asks again.

    delivered: the broker has the last frame, and did not report that it has no subscriber.
    grace_s: seconds that device and broker may be away.
    retry_s: pause in seconds before a last frame without a subscriber is sent again, if device or broker was
    away.
    """

    def __init__(self, new_writer: NewWriter, *, whole: bool, grace_s: float, retry_s: float) -> None:
        self._new_writer = new_writer
        self._grace_s = grace_s
        self._retry_s = retry_s
        self._writer = new_writer(whole, False)
        self._hearing: Hearing | None = None
        self._reachable = asyncio.Event()
        self._reachable.set()
        self._was_away = False
        self._anew = False
        self.delivered = False

    async def send(self, reading: Reading, is_left: Callable[[], bool] = lambda: False) -> None:
        """Send the whole reply.

        is_left: returns True if another gateway sends the last frame.
        """
        tries = TRIES
        while await self._is_reachable():
            writer, fell_behind = self._writer, False
            try:
                with reading(writer.next_event) as self._hearing:
                    ended = await writer.follow(self._hearing, is_left)
            except FellBehind:
                ended, fell_behind = False, True
            if not ended:
                if writer is self._writer:
                    if writer.whole and not fell_behind:
                        return  # the reply has no end
                    self.begin_anew()
                continue
            if not await writer.all_written():
                return
            if not writer.unheard:
                self.delivered = True
                return
            if not self._was_away or tries == 0:
                return
            # A device that lost the broker together with us may need more time to return.
            tries -= 1
            await asyncio.sleep(self._retry_s)
            self.begin_anew()

    async def send_end(self, end: Terminal) -> None:
        """Send a reply that has ended."""
        if not await self._is_reachable():
            return
        self._replace(self._new_writer(True, self._anew or self._writer.taken > 0))
        self._writer.tell_end(end)
        self.delivered = await self._writer.all_written() and not self._writer.unheard

    async def send_note(self, session: str) -> None:
        """Tell the device that its message is stored in the session with this key and asks nothing."""
        self._writer.tell_note(session)
        self.delivered = await self._writer.all_written() and not self._writer.unheard

    def fail(self, error: GatewayError) -> None:
        """Send the error that ends the answer. Does nothing after the last frame."""
        self._writer.fail(error)

    def accept_again(self) -> None:
        """Repeat the `accept`: the device may have received nothing."""
        self._writer.accept_again()

    def leave(self) -> None:
        """The device or the broker has disconnected."""
        self._was_away = True
        self._reachable.clear()
        if not self._writer.ended:
            self.begin_anew()
        if self._hearing is not None:
            self._hearing.stop()

    def come_back(self) -> None:
        self._reachable.set()

    def close(self) -> None:
        self._writer.close()

    async def _is_reachable(self) -> bool:
        """Wait until device and broker are connected; False if they stay away for grace_s."""
        try:
            async with asyncio.timeout(self._grace_s):
                await self._reachable.wait()
        except TimeoutError:
            return False
        return True

    def begin_anew(self) -> None:
        """The device may have a part of the reply: send it as one `reply` at its end."""
        self._anew = True
        self._replace(self._new_writer(True, True))

    def _replace(self, writer: DownWriter) -> None:
        writer.session = self._writer.session
        self._writer.close()
        self._writer = writer
