"""Endpoints for rooms: sessions that several users and devices share."""

from gateway.web.api import rooms
from gateway.web.http.endpoint import Endpoint, JsonEndpoint

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
        description="Only the owner gets one. Whoever has it may join for seven days.",
        tag="rooms",
        body=rooms.InvitationBody,
        body_required=False,
    ),
)
