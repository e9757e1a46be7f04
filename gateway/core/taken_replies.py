"""Replies that were taken over from dead gateways a short time ago."""

import asyncio
from collections.abc import Sequence

from gateway.contract.adoption import LeftReply

KEPT_S = 60.0
"""Seconds for which they are kept. Frames to devices expire after this time too."""

MAX_KEPT = 1_000


class TakenReplies:
    """The latest ones, by session."""

    def __init__(self) -> None:
        self._replies: dict[str, tuple[float, LeftReply]] = {}

    def add(self, reply: LeftReply) -> None:
        self._replies[reply.stream_id] = asyncio.get_running_loop().time() + KEPT_S, reply
        if len(self._replies) > MAX_KEPT:
            del self._replies[next(iter(self._replies))]

    def of(self, session_id: int) -> Sequence[LeftReply]:
        """Return those of one session."""
        now = asyncio.get_running_loop().time()
        kept = self._replies.values()
        return [reply for until, reply in kept if reply.session_id == session_id and until >= now]
