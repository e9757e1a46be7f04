"""All replies of a worker that outlive their gateway: their memory, and the frames that ask for them."""

import asyncio
from collections.abc import Callable

from gateway.contract.errors import GatewayError
from transports.mqtt.clock import Clock
from transports.mqtt.dropped_messages import Dropped
from transports.mqtt.link.link import Link
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import (
    CancelFrame,
    ErrorFrame,
    ForgetFrame,
    RequestFrame,
    ResumeFrame,
    epoch_of,
)
from transports.mqtt.worker.kept_reply import KeptReply

KEEP_BYTES = 64 * 1024 * 1024
KEEP_REPLY_BYTES = 4 * 1024 * 1024
REPLY_OVERHEAD = 1_024
FRAME_OVERHEAD = 64
"""Bytes that an object takes besides its payload, roughly."""

REFUSALS = {
    "unknown": "the worker keeps no reply with this id",
    "gone": "the reply is larger than what the worker keeps",
}


class KeptReplies:
    """Running and ended replies with `keep_s`, by the request's id.

    Args:
        link: to the broker.
        stop: called with the id of a running reply that nobody will receive.
        dropped: counts messages that were not used.
        clock: of the timers.
        max_bytes: of all frames together. Beyond it ended replies are dropped, the oldest first.
        max_reply_bytes: of one reply's frames. A larger reply is not kept.
    """

    def __init__(
        self,
        link: Link,
        stop: Callable[[str], None],
        dropped: Dropped,
        clock: Clock,
        *,
        max_bytes: int = KEEP_BYTES,
        max_reply_bytes: int = KEEP_REPLY_BYTES,
    ) -> None:
        self._link = link
        self._stop = stop
        self._dropped = dropped
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_reply_bytes = max_reply_bytes
        self._replies: dict[str, KeptReply] = {}
        self._sizes: dict[str, int] = {}
        self._ended: dict[str, None] = {}
        """Ids of ended replies, in the order of their ends."""
        self._none_ended = asyncio.Event()
        self._none_ended.set()
        self._size = 0

    def __contains__(self, id: str) -> bool:
        return id in self._replies

    def begin(self, request: RequestFrame, gateway: str, incarnation: int) -> KeptReply:
        """Return the sender of a new reply."""
        reply = KeptReply(
            self._link,
            request,
            gateway,
            incarnation,
            grew=self._grew,
            abandoned=self._abandoned,
            clock=self._clock,
        )
        self._replies[reply.id] = reply
        self._sizes[reply.id] = 0
        self._grew(reply, REPLY_OVERHEAD)
        return reply

    def ended(self, reply: KeptReply, *, keep: bool) -> None:
        """The reply's task has ended. keep: a gateway may still ask for its frames."""
        if keep and reply.frames is not None and self._replies.get(reply.id) is reply:
            self._ended[reply.id] = None
            self._none_ended.clear()
            reply.end()
        else:
            self._remove(reply)

    def resume(self, frame: ResumeFrame, gateway: str, incarnation: int) -> None:
        """Send the frames of a reply to this gateway, or an error if there is none."""
        reply = self._replies.get(frame.id)
        if reply is None:
            self._refuse(frame.id, frame.reply_to, "unknown")
        elif frame.epoch < reply.epoch or (frame.epoch == reply.epoch and frame.reply_to != reply.topic):
            self._dropped["overtaken"] += 1
        elif reply.frames is None:
            self._refuse(frame.id, frame.reply_to, "gone")
            reply.epoch = frame.epoch
            self._abandoned(reply)
        else:
            reply.attach(frame.reply_to, gateway, incarnation, frame.epoch)

    def forget(self, frame: ForgetFrame) -> None:
        """Drop a reply's frames."""
        reply = self._replies.get(frame.id)
        if reply is None or frame.epoch < reply.epoch:
            self._dropped["overtaken"] += reply is not None
        else:
            self._abandoned(reply)

    async def none_ended(self) -> None:
        """Wait until no ended reply is kept: a gateway has stored each of them, or their time is over."""
        await self._none_ended.wait()

    def is_overtaken(self, cancel: CancelFrame) -> bool:
        """True if another gateway has resumed the reply since the sender of `cancel` had it."""
        reply = self._replies.get(cancel.id)
        return reply is not None and epoch_of(cancel) < reply.epoch

    def gateway_gone(self, name: str, incarnation: int | None) -> None:
        """This gateway was lost, or started anew as this incarnation."""
        for reply in self._replies.values():
            if reply.gateway == name and reply.incarnation != incarnation:
                reply.detach()

    def detach_all(self) -> None:
        """The broker was lost."""
        for reply in self._replies.values():
            reply.detach()

    def close(self) -> None:
        for reply in self._replies.values():
            reply.close()

    def _grew(self, reply: KeptReply, added: int) -> None:
        if reply.id not in self._sizes:
            return
        added += FRAME_OVERHEAD
        self._sizes[reply.id] += added
        self._size += added
        while self._size > self._max_bytes and self._ended:
            self._remove(self._replies[next(iter(self._ended))])
        if self._sizes[reply.id] > self._max_reply_bytes or self._size > self._max_bytes:
            self._drop_frames(reply)

    def _drop_frames(self, reply: KeptReply) -> None:
        """Go on without keeping. If the gateway does not have all frames so far, nobody will."""
        if reply.is_behind or not reply.attached:
            self._abandoned(reply)
            return
        reply.frames = None
        self._size -= self._sizes[reply.id]
        self._sizes[reply.id] = 0

    def _abandoned(self, reply: KeptReply) -> None:
        running = reply.id in self._replies and reply.id not in self._ended
        self._remove(reply)
        if running:
            self._stop(reply.id)

    def _remove(self, reply: KeptReply) -> None:
        if reply.is_behind:
            self._refuse(reply.id, reply.topic, "gone")
        if self._replies.pop(reply.id, None) is not None:
            self._size -= self._sizes.pop(reply.id)
            self._ended.pop(reply.id, None)
            if not self._ended:
                self._none_ended.set()
        reply.frames = None
        reply.close()

    def _refuse(self, id: str, topic: str, code: str) -> None:
        try:
            self._link.publish(topic, encode(ErrorFrame(id, code, REFUSALS[code])))
        except GatewayError as error:  # too many messages wait for the broker
            self._dropped.drop("unsaid", topic, error)
