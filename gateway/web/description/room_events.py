"""The model of the events of rooms, as event streams and plain WebSockets send them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class RoomEventData(BaseModel):
    """Fields of all events. docs/http.md lists those of each."""

    model_config = ConfigDict(extra="allow")

    roomId: str  # noqa: N815 - the name on the wire


class RoomEvent(BaseModel):
    """One `data:` of a room's events."""

    event: Literal[
        "message:new",
        "reply:start",
        "reply:chunk",
        "reply:done",
        "reply:error",
        "room:join",
        "room:leave",
        "room:members",
        "room:dismissed",
        "presence:update",
        "typing:start",
        "typing:stop",
    ]
    data: RoomEventData
