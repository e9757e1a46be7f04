"""One reply on its way to one device: what a reader hears becomes frames on the device's `down`."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from gateway.contract.errors import GatewayError, error_of
from gateway.contract.events import (
    Cancelled,
    Delta,
    Done,
    Failed,
    Finished,
    FinishReason,
    ReaderEvent,
    Started,
    Terminal,
    TransportEvent,
)
from gateway.contract.ingress import Hearing
from gateway.contract.journal import FellBehind
from transports.mqtt.device_frames import DeviceAccept, encode_for_device
from transports.mqtt.frames import Frame, encode
from transports.mqtt.link import Envelope, Link
from transports.mqtt.reply_writer import ReplyWriter

EXPIRY_S = 60.0

_TERMINAL = (Finished, Cancelled, Failed)


def envelope_for(id: str) -> Envelope:
    """What stands on the outside of every message to a device but text."""
    return Envelope(EXPIRY_S, correlation=id)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """See ReplyWriter."""

    coalesce_s: float
    coalesce_bytes: int
    alive_s: float


class DownWriter:
    """whole: one `reply` or `error` when the reply has ended, and nothing before. mirror: say that the device
    did not ask. taken: how many of the reply's events were written.
    """

    def __init__(
        self, link: Link, topic: str, id: str, rhythm: Rhythm, *, whole: bool, mirror: bool = False
    ) -> None:
        self._link = link
        self._topic = topic
        self._id = id
        self._whole = whole
        self._mirror = mirror
        self._session = ""
        self._writer = ReplyWriter(
            link,
            topic,
            id,
            whole=whole,
            coalesce_s=rhythm.coalesce_s,
            coalesce_bytes=rhythm.coalesce_bytes,
            alive_s=rhythm.alive_s,
            clock=asyncio.get_running_loop(),
            encode=self._encode,
            envelope=envelope_for(id),
        )
        self.taken = 0

    @property
    def next_event(self) -> int:
        """Behind which event to read on. A whole reply needs the last one only, which may have been read."""
        return 0 if self._whole else self.taken

    async def follow(self, hearing: Hearing) -> bool:
        """Write what is heard; False if it was told to stop, or the connection was lost, before the end.

        Raises FellBehind when text is missing, and what `say` of ReplyWriter does.
        """
        if hearing.missed and not self._whole:
            raise FellBehind("Some of the reply is no longer held.")
        while (events := await hearing.read()) is not None:
            self.taken += len(events)
            self._write(events)
            if isinstance(events[-1], _TERMINAL):
                return True
            if not await self._writer.written():
                break
        return False

    def tell_end(self, end: Terminal) -> None:
        """Write how it ended; a whole reply with all its text."""
        ending = end.ending
        if isinstance(end, Failed):
            error = error_of(end.code, end.message)
            error.retryable = end.retryable
            self._writer.fail(error)
            return
        last: list[TransportEvent] = []
        if self._whole and ending.full_content:
            last.append(Delta(ending.full_content))
        if ending.usage is not None:
            last.append(ending.usage)
        # A device hears of a stop as of any other end.
        self._writer.say([*last, Done(cast(FinishReason, end.reason))])

    def fail(self, error: GatewayError) -> None:
        self._writer.fail(error)

    def accept_again(self) -> None:
        """Repeat the `accept`, if there was one."""
        if self._session:
            accept = encode(DeviceAccept(self._id, 0, self._session))
            with suppress(GatewayError):  # a link that takes nothing more cannot be told, and it asks again
                self._link.publish(self._topic, accept, envelope=envelope_for(self._id))

    async def all_written(self) -> bool:
        """Wait for the broker's answers; False if it may not have all of it."""
        return await self._writer.written(at_most=0)

    @property
    def unheard(self) -> bool:
        """The broker said that nobody listens."""
        return self._writer.unheard

    def close(self) -> None:
        """No timer writes any more."""
        self._writer.close()

    def _write(self, events: Sequence[ReaderEvent]) -> None:
        said: list[TransportEvent] = []
        for event in events:
            if isinstance(event, Started):
                if not self._whole:
                    self._session = event.session_key
                    self._writer.accept()
            elif isinstance(event, _TERMINAL):
                self._writer.say(said)
                self.tell_end(event)
                return
            elif not self._whole:
                said.append(event)
        self._writer.say(said)

    def _encode(self, frame: Frame) -> bytes:
        return encode_for_device(frame, session=self._session, mirror=self._mirror)
