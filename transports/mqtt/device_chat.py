"""One chat of a device, from its question to the last frame of its answer."""

import asyncio
from collections.abc import Callable

from gateway.contract.errors import GatewayError, NotFound
from gateway.contract.events import Cancelled, Failed, Finished
from gateway.contract.ingress import Ask, DeviceChat, Hearing, LiveReply
from gateway.contract.journal import FellBehind
from transports.mqtt.device_frames import Chat
from transports.mqtt.down_writer import DownWriter

_TERMINAL = (Finished, Cancelled, Failed)

TRIES = 30

Writing = Callable[[bool], DownWriter]
"""Begins an answer; True: as a whole."""


class OpenChat:
    """begin: a new writer of the answer. grace_s: how long device and broker may be away. retry_s: when an
    answer that nobody heard after that is told again.
    """

    def __init__(self, device: str, frame: Chat, begin: Writing, *, grace_s: float, retry_s: float) -> None:
        self.question = DeviceChat(device, frame.id, frame.text, frame.session)
        self._begin = begin
        self._grace_s = grace_s
        self._retry_s = retry_s
        self._writer = begin(not frame.stream)
        self._hearing: Hearing | None = None
        self._reply: LiveReply | None = None
        self._reachable = asyncio.Event()
        self._reachable.set()
        self._stopped = False
        self._was_away = False

    async def answer(self, ask: Ask) -> bool:
        """Ask, and tell the device the answer; True if it is certain that all of it arrived.

        The answer goes on where it was when the device comes back. What may have been lost with the
        connection to the broker, or is no longer held, is told by one `reply` at the end.
        """
        try:
            reply = await ask(self.question)
            if reply is not None and not isinstance(reply, _TERMINAL):
                try:
                    return await self._tell(reply)
                except NotFound:
                    reply = await ask(self.question)  # It ended while the device was away: the store has it.
            if not isinstance(reply, _TERMINAL):
                return False  # Another gateway answers.
            self._begin_anew()
            self._writer.tell_end(reply)
            return await self._writer.all_written() and not self._writer.unheard
        finally:
            self._writer.close()

    def fail(self, error: GatewayError) -> None:
        """Say that it cannot be answered, or not to its end."""
        self._writer.fail(error)

    def ask_again(self) -> None:
        """It came once more: the device may have heard nothing."""
        self._writer.accept_again()

    def stop(self) -> None:
        """End it as its user wants it; again: nothing."""
        self._stopped = True
        if self._reply is not None:
            self._reply.stop()

    def leave(self) -> None:
        """The device, or the broker, has gone."""
        self._was_away = True
        self._reachable.clear()
        if self._hearing is not None:
            self._hearing.stop()

    def come_back(self) -> None:
        self._reachable.set()

    async def _tell(self, reply: LiveReply) -> bool:
        self._reply = reply
        if self._stopped:
            reply.stop()
        tries = TRIES
        while await self._is_reachable():
            try:
                with reply.reading(self._writer.next_event) as self._hearing:
                    ended = await self._writer.follow(self._hearing)
            except FellBehind:
                self._begin_anew()
                continue
            written = await self._writer.all_written()
            if ended and written:
                if not self._writer.unheard:
                    return not self._was_away
                if not self._was_away or tries == 0:
                    return False
                # Who lost the broker when we did comes back in its own time.
                tries -= 1
                await asyncio.sleep(self._retry_s)
            if ended or not written:
                self._begin_anew()
        return False

    async def _is_reachable(self) -> bool:
        """Wait for device and broker to be there; False if they stay away."""
        try:
            async with asyncio.timeout(self._grace_s):
                await self._reachable.wait()
        except TimeoutError:
            return False
        return True

    def _begin_anew(self) -> None:
        self._writer.close()
        self._writer = self._begin(True)
