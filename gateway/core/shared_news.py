"""Sends the events of sessions to the other gateways, and publishes theirs here.

A signal has ids only: a message's text is read from the database by the stream that sends it. Nothing is
sent while no other gateway has an open session stream: three signals a reply would cost each gateway as much
as a dozen tokens.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from gateway.contract.events import Reason, Status
from gateway.contract.room_events import MessagePosted
from gateway.contract.signals import Body, Signals
from gateway.core.session_news import (
    BranchChosen,
    MessageStored,
    News,
    ReplyEnded,
    ReplyStarted,
    SessionNews,
)

TOPIC = "session"
DELETED = "deleted"

LISTENS_FOR_S = 60.0
"""Seconds for which a gateway counts as listening after it has said so."""


class SharedNews:
    """clock: seconds, monotonic."""

    def __init__(
        self,
        news: SessionNews,
        signals: Signals,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._news = news
        self._signals = signals
        self._clock = clock
        self._sleep = sleep
        self._others_listen_until = clock() + LISTENS_FOR_S  # they may have said so before this start
        news.on_publish = lambda session_id, event: self._send(session_id, _as_json(event))
        news.on_close = lambda session_id: self._send(session_id, {"kind": DELETED})
        news.on_first_listener = self._say_listening
        signals.on(TOPIC, self._hear)
        signals.on_missed(self._missed)

    async def run(self) -> None:
        """Repeat that this gateway listens, as long as it has open session streams."""
        while True:
            await self._sleep(LISTENS_FOR_S / 3)
            if len(self._news):
                self._say_listening()

    def _say_listening(self) -> None:
        self._signals.send(TOPIC, {"kind": "listening"})

    def _missed(self) -> None:
        self._others_listen_until = self._clock() + LISTENS_FOR_S
        self._news.close_all()  # clients reconnect and read the session again

    def _send(self, session_id: int, body: Body) -> None:
        if self._clock() < self._others_listen_until:
            self._signals.send(TOPIC, {"session": session_id, **body})

    def _hear(self, body: Body) -> None:
        if body.get("kind") == "listening":
            self._others_listen_until = self._clock() + LISTENS_FOR_S
            return
        if not isinstance(session_id := body.get("session"), int):
            return
        if body.get("kind") == DELETED:
            self._news.close_here(session_id)
        elif (news := _parsed(body)) is not None:
            self._news.deliver(session_id, news)


def _as_json(news: News) -> Mapping[str, Any]:
    match news:
        case MessagePosted(message_id) | MessageStored(message_id):
            return {"kind": "question", "id": message_id}  # the name that older gateways know
        case ReplyStarted(stream_id, id, question_id):
            return {"kind": "started", "stream": stream_id, "id": id, "question": question_id}
        case ReplyEnded(stream_id, id, status, reason):
            return {"kind": "ended", "stream": stream_id, "id": id, "status": status, "reason": reason}
        case BranchChosen(leaf_id):
            return {"kind": "branch", "leaf": leaf_id}


def _parsed(body: Body) -> News | None:
    """Return the event; None for one of a newer version."""
    match body:
        case {"kind": "question", "id": int(id)}:
            return MessageStored(id)
        case {"kind": "started", "stream": str(stream_id), "id": int(id), "question": int(question_id)}:
            return ReplyStarted(stream_id, id, question_id)
        case {
            "kind": "ended",
            "stream": str(stream_id),
            "id": int(id),
            "status": str(status),
            "reason": str(end),
        }:
            return ReplyEnded(stream_id, id, cast(Status, status), cast(Reason, end))
        case {"kind": "branch", "leaf": int() | None as leaf_id}:
            return BranchChosen(leaf_id)
    return None
