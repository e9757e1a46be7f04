"""The JSON of a room's events, the same for all clients: a name, and an object with the fields of the event.

Encoders of RoomEvent.encoded: each is called once for all listeners that use it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.contract.authors import Author
from gateway.contract.content import Content, Text, parts_of, size_of, text_of
from gateway.contract.room_events import (
    MAX_ATTACHED_BYTES,
    MembersChanged,
    MessagePosted,
    Person,
    PersonCame,
    PersonWent,
    PresenceChanged,
    ReplyBegan,
    ReplyGrew,
    ReplyOver,
    RoomEvent,
    TypingChanged,
)
from gateway.dialects.json_encoding import json_bytes


def name_of(event: RoomEvent) -> str:
    """Return the event's name, such as `message:new`."""
    match event.what:
        case MessagePosted():
            return "message:new"
        case ReplyBegan():
            return "reply:start"
        case ReplyGrew():
            return "reply:chunk"
        case ReplyOver(error=None):
            return "reply:done"
        case ReplyOver():
            return "reply:error"
        case PersonCame():
            return "room:join"
        case PersonWent():
            return "room:leave"
        case PresenceChanged():
            return "presence:update"
        case TypingChanged(typing=typing):
            return "typing:start" if typing else "typing:stop"
        case MembersChanged():
            return "room:members"


def data_of(event: RoomEvent) -> bytes:
    """Return the event's fields as a JSON object."""
    fields = {"roomId": event.room_key, **_fields(event)}
    return json_bytes(fields if event.after is None else {**fields, "after": event.after})


def named_object(event: RoomEvent) -> bytes:
    """Return the event as the JSON object `{"event": name, "data": fields}`."""
    return named(name_of(event), event.encoded(data_of))


def named(name: str, data: bytes) -> bytes:
    """data: JSON."""
    return b'{"event":%b,"data":%b}' % (json_bytes(name), data)


def dismissed(room_key: str) -> tuple[str, bytes]:
    """Return name and fields of the last event that a listener hears of a room."""
    return "room:dismissed", json_bytes({"roomId": room_key})


def author_of(author: Author) -> Mapping[str, Any]:
    return {"kind": author.kind, "name": author.name}


def person_of(person: Person) -> Mapping[str, Any]:
    return {**_who(person.who), "status": person.status, "metadata": person.metadata}


def _fields(event: RoomEvent) -> Mapping[str, Any]:
    match event.what:
        case MessagePosted() as message:
            return _message(message)
        case ReplyBegan(stream_id, message_id, question_id, text, reasoning):
            began: dict[str, Any] = {
                "streamId": stream_id,
                "messageId": message_id,
                "questionId": question_id,
                "content": text,
            }
            return {**began, "reasoning": reasoning} if reasoning else began
        case ReplyGrew(stream_id, position, text, reasoning_position, reasoning):
            grew: dict[str, Any] = {"streamId": stream_id, "position": position, "content": text}
            if reasoning:
                grew |= {"reasoningPosition": reasoning_position, "reasoning": reasoning}
            return grew
        case ReplyOver() as over:
            return _over(over)
        case PersonCame(who) | PersonWent(who) | TypingChanged(who):
            return _who(who)
        case PresenceChanged(who, status, metadata):
            return {**_who(who), "status": status, "metadata": metadata}
        case MembersChanged():
            return {}


def _message(message: MessagePosted) -> Mapping[str, Any]:
    """Return the fields flat, and again as `message`: clients read either form."""
    id = message.client_id or message.uuid
    text = text_of(message.content)
    fields: dict[str, Any] = {
        "id": id,
        "messageId": message.message_id,
        "role": message.role,
        "content": text,
        **_who(message.author),
        "createdAt": message.created_at.isoformat(),
        "origin": message.origin,
        "message": {"id": id, "role": message.role, "content": text},
    }
    if (parts := _parts(message.content)) is not None:
        fields["parts"] = parts
    if message.stream_id is not None:
        fields["streamId"] = message.stream_id
    return fields


def _parts(content: Content) -> Sequence[Mapping[str, Any]] | None:
    """Return the parts; None for text, empty if the attachments are too large to be sent to a whole room, or
    were left out because of that."""
    parts = parts_of(content)
    if not parts:
        return None
    were_left_out = any(not (isinstance(part, Text) or part.base64) for part in parts)
    if were_left_out or sum(map(size_of, parts)) > MAX_ATTACHED_BYTES:
        return []
    return [part.as_json() for part in parts]


def _over(over: ReplyOver) -> Mapping[str, Any]:
    fields: dict[str, Any] = {
        "streamId": over.stream_id,
        "messageId": over.message_id,
        "status": over.status,
        "reason": over.reason,
        "length": over.chars,
    }
    if over.model is not None:
        fields["model"] = over.model
    if over.tool_calls:
        fields["toolCalls"] = [
            {"id": call.id, "name": call.name, "args": call.arguments} for call in over.tool_calls
        ]
    if over.error is not None:
        fields["code"], fields["message"] = over.error
    return fields


def _who(author: Author) -> Mapping[str, Any]:
    return {"userId": author.name, "author": author_of(author)}
