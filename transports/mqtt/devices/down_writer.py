"""Writes one reply to one device: turns reader events into frames on the device's `down`."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from gateway.contract.error_codes import error_of
from gateway.contract.errors import FrameGap, GatewayError
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
from transports.mqtt.link.link import Envelope, Link
from transports.mqtt.protocol.device_frames import DeviceAccept, encode_for_device
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import Frame
from transports.mqtt.worker.frame_sender import UNANSWERED_MAX, FrameSender
from transports.mqtt.worker.reply_writer import ReplyWriter

EXPIRY_S = 60.0
TOO_LONG_TO_REPEAT = "Frames were lost, and the text is too long for one message; ask again with this id."

_TERMINAL = (Finished, Cancelled, Failed)


def envelope_for(id: str) -> Envelope:
    """Return the envelope of all messages to a device except text."""
    return Envelope(EXPIRY_S, correlation=id)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """See ReplyWriter."""

    coalesce_s: float
    coalesce_bytes: int
    alive_s: float


class DownWriter:
    """Writes the frames of one reply, with exactly one last frame.

    whole: only one `reply` or `error`, when the reply has ended.
    anew: the device may have received frames of this answer. So a `reply` that does not fit into one message
    becomes an `error`, since chunks would reuse numbers.
    mirror: mark all frames with `mirror`: another client asked the question.
    session: the key of the session, when known.
    taken: number of the reply's events that were written.
    """

    def __init__(
        self,
        link: Link,
        topic: str,
        id: str,
        rhythm: Rhythm,
        *,
        whole: bool,
        anew: bool = False,
        mirror: bool = False,
    ) -> None:
        self._link = link
        self._topic = topic
        self._id = id
        self.whole = whole
        self._anew = anew
        self._mirror = mirror
        self.session = ""
        self._sender = FrameSender(link, topic)
        self._writer = ReplyWriter(
            self._sender,
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
        self._closed = False

    @property
    def next_event(self) -> int:
        """Number of the event to read on behind; 0 for a whole reply, which may need its last event again."""
        return 0 if self.whole else self.taken

    async def follow(self, hearing: Hearing, is_left: Callable[[], bool] = lambda: False) -> bool:
        """Write the reader's events. True when the last frame was written.

        False if a frame before that may not have reached the device: the connection was lost, there was no
        subscriber, or this writer was closed. The last frame is written when the broker has all others, and
        not if `is_left`: then another gateway writes it.

        Raises FellBehind if text is missing, and as `say` of ReplyWriter does.
        """
        if hearing.missed and not self.whole:
            raise FellBehind("Some of the reply is no longer held.")
        while (events := await hearing.read()) is not None:
            self.taken += len(events)
            last = events[-1]
            if isinstance(last, _TERMINAL):
                self._write(events[:-1])
                if is_left():
                    return False
                return await self._write_last(last)
            self._write(events)
            if not await self._arrives():
                return False
        return False

    def tell_end(self, end: Terminal) -> None:
        """Write the last frame; for a whole reply, with all its text."""
        ending = end.ending
        if isinstance(end, Failed):
            self._writer.fail(error_of(end.code, end.message, end.retryable))
            return
        last: list[TransportEvent] = []
        if self.whole and ending.full_content:
            if self._anew and not self._writer.fits(ending.full_content):
                self._writer.fail(FrameGap(TOO_LONG_TO_REPEAT))
                return
            last.append(Delta(ending.full_content))
        if ending.usage is not None:
            last.append(ending.usage)
        # A stop is an `end` to a device too.
        self._writer.say(last)
        self._writer.end(Done(cast(FinishReason, end.reason)))

    def tell_note(self, session: str) -> None:
        """Write the frames of an empty reply: the message is stored and asks nothing."""
        self.session = session
        if not self.whole:
            self._writer.accept()
        self._writer.end(Done("stop"))

    def fail(self, error: GatewayError) -> None:
        self._writer.fail(error)

    def accept_again(self) -> None:
        """Repeat the `accept`, if there was one and the last frame was not written."""
        if self.session and not self.ended:
            accept = encode(DeviceAccept(self._id, 0, self.session))
            with suppress(GatewayError):  # a full link cannot send it; the device asks again
                self._link.publish(self._topic, accept, envelope=envelope_for(self._id))

    async def all_written(self) -> bool:
        """Wait for the broker's acknowledgements; False if the broker may not have all frames."""
        return await self._writer.written(at_most=0)

    @property
    def ended(self) -> bool:
        """True if the last frame was written."""
        return self._writer.ended

    @property
    def unheard(self) -> bool:
        """True if the broker reported that `down` has no subscriber."""
        return self._sender.unheard

    def close(self) -> None:
        """Stop writing, except by `fail` and `tell_end`."""
        self._closed = True
        self._writer.close()

    async def _arrives(self, at_most: int = UNANSWERED_MAX) -> bool:
        return await self._writer.written(at_most) and not self._sender.unheard and not self._closed

    async def _write_last(self, end: Terminal) -> bool:
        if not self.whole:
            self._writer.flush()
            if not await self._arrives(at_most=0):
                return False
        if self._closed:
            return False
        self.tell_end(end)
        return True

    def _write(self, events: Sequence[ReaderEvent]) -> None:
        if self.whole:
            return
        said: list[TransportEvent] = []
        for event in events:
            if isinstance(event, Started):
                self.session = event.session_key
                self._writer.accept()
            else:
                said.append(cast(TransportEvent, event))
        self._writer.say(said)

    def _encode(self, frame: Frame) -> bytes:
        return encode_for_device(frame, session=self.session, mirror=self._mirror)
