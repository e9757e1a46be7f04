"""Endpoints for rooms: sessions that several users and devices share."""

from gateway.web.api import rooms
from gateway.web.api.room_events import RoomEvents
from gateway.web.description.parameters import LAST_MESSAGE_ID, LAST_MESSAGE_ID_IN_QUERY
from gateway.web.description.streams import room_events
from gateway.web.door.ticket_subjects import session_subject
from gateway.web.http.endpoint import AsgiEndpoint, Endpoint, JsonEndpoint

_ALL = "/api/chatbot/rooms"
_ONE = "/api/chatbot/rooms/{room_id}"

ROOMS: tuple[Endpoint, ...] = (
    JsonEndpoint(
        method="GET",
        path=_ALL,
        handler=rooms.list_rooms,
        name="list_rooms",
        summary="The caller's rooms",
        description="Those that the caller owns and those that it is a member of, the latest active first.",
        tag="rooms",
    ),
    JsonEndpoint(
        method="POST",
        path=_ALL,
        handler=rooms.create_room,
        name="create_room",
        summary="Make a room",
        description="A room is a session with members; the caller owns it.",
        tag="rooms",
        body=rooms.RoomBody,
        body_required=False,
        status=201,
    ),
    JsonEndpoint(
        method="POST",
        path=f"{_ALL}/join",
        handler=rooms.join_room,
        name="join_room",
        summary="Join a room by an invitation",
        description="A member who joins again keeps its role.",
        tag="rooms",
        body=rooms.JoinBody,
        refuses=(404, 409),
    ),
    JsonEndpoint(
        method="GET",
        path=_ONE,
        handler=rooms.get_room,
        name="get_room",
        summary="One room",
        description="Its messages are those of its session.",
        tag="rooms",
    ),
    AsgiEndpoint(
        method="GET",
        path=f"{_ONE}/events",
        handler=RoomEvents,
        name="room_events",
        summary="Stream the events of a room",
        description="Server-Sent Events without an end, for those who only watch: messages, replies as they "
        "are generated, people and typing. With `Last-Event-ID`, first the messages that were missed.",
        tag="rooms",
        ticket=session_subject,
        parameters=(LAST_MESSAGE_ID, LAST_MESSAGE_ID_IN_QUERY),
        answers={"200": room_events()},
        refuses=(400, 404, 422, 503),
    ),
    JsonEndpoint(
        method="POST",
        path=f"{_ONE}/members",
        handler=rooms.add_member,
        name="add_member",
        summary="Add a member",
        description="Only the session's owner may. A session without members becomes a room. A user gets "
        "access by its id; a device must be the caller's. The role of a member changes.",
        tag="rooms",
        body=rooms.MemberBody,
        refuses=(409,),
    ),
    JsonEndpoint(
        method="DELETE",
        path=f"{_ONE}/members",
        handler=rooms.remove_member,
        name="remove_member",
        summary="Remove a member",
        description="The owner may remove everybody else, others only themselves.",
        tag="rooms",
        refuses=(409,),
    ),
    JsonEndpoint(
        method="POST",
        path=f"{_ONE}/invitations",
        handler=rooms.invite,
        name="invite",
        summary="A ticket for joining the room",
        description="Only the session's owner gets one. A session without members becomes a room. "
        "Whoever has the ticket may join for seven days.",
        tag="rooms",
        body=rooms.InvitationBody,
        body_required=False,
        refuses=(409,),
    ),
)
