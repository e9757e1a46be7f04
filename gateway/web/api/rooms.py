"""Rooms, under /api/chatbot/rooms: sessions that several users and devices share."""

import re
from typing import Annotated, cast

from fastapi import Path, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag

from gateway.contract.errors import Unprocessable
from gateway.contract.rooms import GivenRole, Member, MemberKind, Role, StoredRoom
from gateway.contract.user_names import PATTERN, fault_of
from gateway.core.tickets import BadTicket
from gateway.web.api.dependencies import Gateway, UserId
from gateway.web.api.views import Time
from gateway.web.chat.session_names import SessionName, session_of
from gateway.web.door.ticket_subjects import invitation_subject
from gateway.web.http.bodies import AtMost512, parse
from gateway.web.http.endpoint import read_request

INVITED_FOR_S = 7 * 86_400
DEVICE_NAME = r"^[A-Za-z0-9_.-]{1,64}$"

_INVITATION = re.compile(
    r"(?P<session>[1-9][0-9]{0,17})\.(?P<role>member|watcher)\.(?P<number>[1-9][0-9]{0,17})\.(?P<ticket>.+)"
)

Name = Annotated[SessionName, Path(description="Id, uuid or key of the room's session.")]
UserName = Annotated[str, Field(min_length=1, max_length=300)]
DeviceName = Annotated[str, Field(pattern=DEVICE_NAME)]


def _checked(name: str) -> str:
    """Return the name. Raises ValueError if nobody can come by it: see checked_label of gateway.rooms."""
    if name != name.strip(" "):
        raise ValueError("must not have spaces around it")
    if (fault := fault_of(name)) is not None:
        raise ValueError(fault)
    return name


class UserMember(BaseModel):
    """A user as a member."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: Annotated[
        UserName,
        AfterValidator(_checked),
        Field(
            description="The user's id: no spaces around it, no control characters, none that turn text.",
            json_schema_extra={"pattern": PATTERN},
        ),
    ]
    role: Annotated[GivenRole, Field(description="A watcher reads, a member also writes.")] = "member"

    def member(self) -> Member:
        return Member("user", self.user, self.role)


class DeviceMember(BaseModel):
    """A device as a member."""

    model_config = ConfigDict(extra="forbid", strict=True)

    device: Annotated[DeviceName, Field(description="The name of a device of the caller's.")]
    role: Annotated[GivenRole, Field(description="A watcher hears, a member also chats.")] = "member"

    def member(self) -> Member:
        return Member("device", self.device, self.role)


def _form_of(said: object) -> str:
    """Return the name of the model that a member is read as, so that errors speak of one only."""
    return "DeviceMember" if isinstance(said, dict) and "device" in said else "UserMember"


_ByName = Annotated[
    Annotated[UserMember, Tag("UserMember")] | Annotated[DeviceMember, Tag("DeviceMember")],
    Discriminator(_form_of),
]


class MemberBody(RootModel[_ByName]):
    """A user or a device."""


class RoomBody(BaseModel):
    """A new room."""

    model_config = ConfigDict(extra="ignore", strict=True)

    title: Annotated[str | None, Field(max_length=120)] = None
    members: AtMost512[MemberBody] = []


class InvitationBody(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    role: GivenRole = "member"


class JoinBody(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    ticket: Annotated[str, Field(min_length=1, max_length=2000)]


class MemberView(BaseModel):
    kind: MemberKind
    name: str
    role: Role


class Room(BaseModel):
    """A room. key: the `roomId` of events. id: that of its session."""

    id: int
    uuid: str
    key: str
    title: str
    created_at: Time
    updated_at: Time
    members: Annotated[list[MemberView], Field(description="The owner first.")]


class Invitation(BaseModel):
    ticket: Annotated[str, Field(description="Whoever has it may join until it expires or is withdrawn.")]
    expires_in_s: int
    role: GivenRole


async def create_room(request: Request, gateway: Gateway, user_id: UserId) -> Room:
    raw = await read_request(gateway, request.scope, request.receive)
    body = parse(raw, RoomBody) if raw else RoomBody()
    members = [each.root.member() for each in body.members]
    session = await gateway.store.create_session(user_id, body.title or "")
    try:
        return _view(await gateway.rooms.add(user_id, session, members))
    except BaseException:
        await gateway.store.delete_session(user_id, session.id)
        raise


async def list_rooms(
    gateway: Gateway, user_id: UserId, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> list[Room]:
    return [_view(room) for room in await gateway.rooms.all(user_id, limit=limit)]


async def get_room(gateway: Gateway, user_id: UserId, room_id: Name) -> Room:
    return _view(await gateway.rooms.one(await session_of(gateway.store, user_id, room_id)))


async def add_member(request: Request, gateway: Gateway, user_id: UserId, room_id: Name) -> Room:
    body = parse(await read_request(gateway, request.scope, request.receive), MemberBody)
    session = await session_of(gateway.store, user_id, room_id)
    return _view(await gateway.rooms.add(user_id, session, [body.root.member()]))


async def remove_member(
    gateway: Gateway,
    user_id: UserId,
    room_id: Name,
    user: Annotated[UserName | None, Query(description="The user's id.")] = None,
    device: Annotated[DeviceName | None, Query(description="The device's name.")] = None,
) -> Room:
    session = await session_of(gateway.store, user_id, room_id)
    if (user is None) == (device is None):
        raise Unprocessable("Name the member by either `user` or `device`.")
    member = Member("user", user) if user is not None else Member("device", str(device))
    return _view(await gateway.rooms.remove(user_id, session, member))


async def invite(request: Request, gateway: Gateway, user_id: UserId, room_id: Name) -> Invitation:
    raw = await read_request(gateway, request.scope, request.receive)
    role = (parse(raw, InvitationBody) if raw else InvitationBody()).role
    room = await gateway.rooms.add(user_id, await session_of(gateway.store, user_id, room_id), [])
    id, number = room.session.id, await gateway.rooms.invitation_number(room.session)
    subject = invitation_subject(id, role, number)
    ticket = gateway.tickets.issue(subject, user_id, lifetime_s=INVITED_FOR_S)
    return Invitation(ticket=f"{id}.{role}.{number}.{ticket}", expires_in_s=INVITED_FOR_S, role=role)


async def join_room(request: Request, gateway: Gateway, user_id: UserId) -> Room:
    body = parse(await read_request(gateway, request.scope, request.receive), JoinBody)
    parts = _INVITATION.fullmatch(body.ticket)
    if parts is None:
        raise BadTicket("The ticket is no invitation.")
    session_id, role, number = int(parts["session"]), cast(GivenRole, parts["role"]), int(parts["number"])
    inviter = gateway.tickets.valid(parts["ticket"], invitation_subject(session_id, role, number)).user_id
    session = await gateway.store.session(inviter, session_id)
    return _view(await gateway.rooms.join(session, Member("user", user_id, role), number))


def _view(room: StoredRoom) -> Room:
    session = room.session
    return Room(
        id=session.id,
        uuid=session.uuid,
        key=session.key,
        title=session.title,
        created_at=session.created_at.isoformat(),
        updated_at=session.updated_at.isoformat(),
        members=[MemberView(kind=each.kind, name=each.name, role=each.role) for each in room.members],
    )
