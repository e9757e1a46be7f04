"""Sends the events of sessions to the other gateways, and publishes theirs here.

A signal has ids only: a question's text is read from the database by the stream that sends it.
"""

from collections.abc import Mapping
from typing import Any, cast

from gateway.contract.events import Reason, Status
from gateway.contract.signals import Body, Signals
from gateway.core.session_news import (
    BranchChosen,
    News,
    QuestionAsked,
    QuestionStored,
    ReplyEnded,
    ReplyStarted,
    SessionNews,
)

TOPIC = "session"


class SharedNews:
    def __init__(self, news: SessionNews, signals: Signals) -> None:
        self._news = news
        self._signals = signals
        news.on_publish = self._send
        signals.on(TOPIC, self._hear)
        # Clients reconnect and read the session again.
        signals.on_missed(news.close_all)

    def _send(self, session_id: int, news: News) -> None:
        self._signals.send(TOPIC, {"session": session_id, **_as_json(news)})

    def _hear(self, body: Body) -> None:
        news = _parsed(body)
        if news is not None and isinstance(session_id := body.get("session"), int):
            self._news.deliver(session_id, news)


def _as_json(news: News) -> Mapping[str, Any]:
    match news:
        case QuestionAsked(message_id) | QuestionStored(message_id):
            return {"kind": "question", "id": message_id}
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
            return QuestionStored(id)
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
