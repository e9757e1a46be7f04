"""The JSON of each event."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.contract.authors import Author
from gateway.contract.content import Image, Text, without_attachments
from gateway.contract.events import ToolCall
from gateway.contract.room_events import (
    MAX_ATTACHED_BYTES,
    Happening,
    MembersChanged,
    MessagePosted,
    PersonCame,
    PersonWent,
    PresenceChanged,
    ReplyBegan,
    ReplyGrew,
    ReplyOver,
    RoomEvent,
    TypingChanged,
)
from gateway.rooms import wire

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
ANNA = Author("user", "anna")
WHO = {"userId": "anna", "author": {"kind": "user", "name": "anna"}}

CASES: list[tuple[Happening, str, dict[str, Any]]] = [
    (
        MessagePosted(5, "u-5", ANNA, "user", "Hi", AT),
        "message:new",
        {
            "id": "u-5",
            "messageId": 5,
            "role": "user",
            "content": "Hi",
            **WHO,
            "createdAt": "2030-01-02T03:04:05+00:00",
            "origin": "room",
            "message": {"id": "u-5", "role": "user", "content": "Hi"},
        },
    ),
    (
        MessagePosted(6, "u-6", ANNA, "assistant", "So.", AT, "broadcast", "c6", "s6"),
        "message:new",
        {
            "id": "c6",
            "messageId": 6,
            "role": "assistant",
            "content": "So.",
            **WHO,
            "createdAt": "2030-01-02T03:04:05+00:00",
            "origin": "broadcast",
            "streamId": "s6",
            "message": {"id": "c6", "role": "assistant", "content": "So."},
        },
    ),
    (
        ReplyBegan("s1", 7, 6, "So f"),
        "reply:start",
        {"streamId": "s1", "messageId": 7, "questionId": 6, "content": "So f"},
    ),
    (
        ReplyBegan("s1", 7, 6, "", "Hm"),
        "reply:start",
        {"streamId": "s1", "messageId": 7, "questionId": 6, "content": "", "reasoning": "Hm"},
    ),
    (ReplyGrew("s1", 4, "ar"), "reply:chunk", {"streamId": "s1", "position": 4, "content": "ar"}),
    (
        ReplyGrew("s1", 0, "", 2, "m"),
        "reply:chunk",
        {"streamId": "s1", "position": 0, "content": "", "reasoningPosition": 2, "reasoning": "m"},
    ),
    (
        ReplyOver("s1", 7, "complete", "stop", 6, "tiny", [ToolCall("t", "look", "{}")]),
        "reply:done",
        {
            "streamId": "s1",
            "messageId": 7,
            "status": "complete",
            "reason": "stop",
            "length": 6,
            "model": "tiny",
            "toolCalls": [{"id": "t", "name": "look", "args": "{}"}],
        },
    ),
    (
        ReplyOver("s1", 7, "failed", "timeout", 6, error=("timeout", "Too late.")),
        "reply:error",
        {
            "streamId": "s1",
            "messageId": 7,
            "status": "failed",
            "reason": "timeout",
            "length": 6,
            "code": "timeout",
            "message": "Too late.",
        },
    ),
    (PersonCame(ANNA), "room:join", WHO),
    (PersonWent(ANNA), "room:leave", WHO),
    (
        PresenceChanged(ANNA, "away", {"a": [1]}),
        "presence:update",
        {**WHO, "status": "away", "metadata": {"a": [1]}},
    ),
    (TypingChanged(ANNA, True), "typing:start", WHO),
    (TypingChanged(ANNA, False), "typing:stop", WHO),
    (MembersChanged(), "room:members", {}),
]


@pytest.mark.parametrize(("what", "name", "data"), CASES)
def test_each_event_has_a_name_and_its_fields(what: Happening, name: str, data: dict[str, Any]) -> None:
    event = RoomEvent(1, "room-1", what)
    assert json.loads(wire.named_object(event)) == {"event": name, "data": {"roomId": "room-1", **data}}


def test_an_event_says_with_which_number_a_client_comes_back() -> None:
    event = RoomEvent(1, "room-1", ReplyBegan("s1", 7, 6), after=6)
    assert json.loads(wire.data_of(event))["after"] == 6


def test_an_event_is_encoded_once_for_all_listeners() -> None:
    event = RoomEvent(1, "room-1", PersonCame(ANNA))
    assert event.encoded(wire.named_object) is event.encoded(wire.named_object)


@pytest.mark.parametrize(("size", "has_parts"), [(100, True), (MAX_ATTACHED_BYTES * 2, False)])
def test_large_attachments_are_not_sent_to_the_whole_room(size: int, has_parts: bool) -> None:
    picture = Image("image/png", "A" * size)
    message = MessagePosted(1, "u", ANNA, "user", (Text("Look"), picture), AT)
    data = json.loads(wire.data_of(RoomEvent(1, "room-1", message)))
    assert data["content"] == "Look"
    assert bool(data["parts"]) is has_parts


def test_attachments_that_were_left_out_are_said_to_be_missing() -> None:
    content = without_attachments((Image("image/png", "AAAA"),))
    data = json.loads(wire.data_of(RoomEvent(1, "room-1", MessagePosted(1, "u", ANNA, "user", content, AT))))
    assert (data["content"], data["parts"]) == ("", [])
