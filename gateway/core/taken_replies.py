"""Replies that were taken over from dead gateways a short time ago, and the devices that got them whole."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.contract.adoption import LeftReply

KEPT_S = 600.0
"""Seconds for which they are kept. A device without a status is heard again only when it chats."""

MAX_KEPT = 1_000


@dataclass(slots=True)
class _Taken:
    reply: LeftReply
    until: float
    told: set[str] = field(default_factory=set)


class TakenReplies:
    """The latest ones, by session."""

    def __init__(self) -> None:
        self._replies: dict[str, _Taken] = {}

    def add(self, reply: LeftReply) -> None:
        until = asyncio.get_running_loop().time() + KEPT_S
        known = self._replies.pop(reply.stream_id, None)
        self._replies[reply.stream_id] = _Taken(reply, until, set() if known is None else known.told)
        if len(self._replies) > MAX_KEPT:
            del self._replies[next(iter(self._replies))]

    def missed_by(self, device: str, session_id: int) -> Sequence[LeftReply]:
        """Return those of one session that the device was not told."""
        now = asyncio.get_running_loop().time()
        return [
            taken.reply
            for taken in self._replies.values()
            if taken.reply.session_id == session_id and taken.until >= now and device not in taken.told
        ]

    def told(self, device: str, reply: LeftReply) -> None:
        """Note that the device got the whole reply: it may come and go again."""
        if (taken := self._replies.get(reply.stream_id)) is not None:
            taken.told.add(device)
