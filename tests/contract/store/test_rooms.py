"""Contract of message stores: rooms and their members."""

import pytest

from gateway.contract.authors import Author
from gateway.contract.errors import Conflict, Forbidden, NotFound, QuotaReached
from gateway.contract.notes import NewNote
from gateway.contract.rooms import Member
from gateway.store.rooms import RoomLimits
from gateway.store.sql_store import SqlStore
from tests.store.rigs import SqlRig

ANNA = Member("user", "anna", "owner")
BEN = Member("user", "ben")
CAROL = Member("user", "carol", "watcher")
ROBOT = Member("device", "robot-1")


async def room_of(store: SqlStore, *members: Member, owner: str = "anna") -> int:
    session = await store.create_session(owner, "Kitchen")
    await store.rooms.add(owner, session.id, members)
    return session.id


async def test_a_room_has_its_owner_first_and_every_member_once(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        room = await room_of(store, BEN, CAROL, BEN, Member("user", "anna", "watcher"))
        added = await store.rooms.add("anna", room, [ROBOT])
    async with (store := sql_rig.store()).running():
        assert await store.rooms.members(room) == added == [ANNA, BEN, CAROL, ROBOT]


async def test_the_last_message_of_a_session_is_known(sql_store: SqlStore) -> None:
    room, other = await room_of(sql_store), await room_of(sql_store)
    assert await sql_store.rooms.last_message(room) == 0
    first, note = [
        await sql_store.post(NewNote("anna", room, Author("user", "anna"), "Hi")) for _ in range(2)
    ]
    await sql_store.post(NewNote("anna", other, Author("user", "anna"), "Hi"))
    assert await sql_store.rooms.last_message(room) == note.message.id
    assert await sql_store.rooms.last_message(room, before=note.message.id) == first.message.id
    assert await sql_store.rooms.last_message(room, before=first.message.id) == 0


async def test_a_user_and_a_device_of_one_name_are_two_members(sql_store: SqlStore) -> None:
    room = await room_of(sql_store, Member("user", "robot-1"), ROBOT)
    assert await sql_store.rooms.members(room) == [ANNA, Member("user", "robot-1"), ROBOT]


async def test_a_role_changes_but_not_by_an_invitation(sql_store: SqlStore) -> None:
    room = await room_of(sql_store, BEN)
    watching = Member("user", "ben", "watcher")
    assert await sql_store.rooms.add("anna", room, [watching]) == [ANNA, watching]
    number = await sql_store.rooms.invitation_number(room)
    assert await sql_store.rooms.join(room, BEN, number) == [ANNA, watching]
    assert await sql_store.rooms.join(room, Member("user", "anna"), number) == [ANNA, watching]


async def test_a_removal_by_the_owner_withdraws_invitations_and_nothing_else_does(
    sql_store: SqlStore,
) -> None:
    room = await room_of(sql_store, CAROL)
    number = await sql_store.rooms.invitation_number(room)
    await sql_store.rooms.add("anna", room, [ROBOT])
    await sql_store.rooms.remove("carol", room, CAROL)
    assert await sql_store.rooms.join(room, BEN, number) == [ANNA, ROBOT, BEN]
    assert await sql_store.rooms.remove("anna", room, BEN) == [ANNA, ROBOT]
    with pytest.raises(Forbidden):
        await sql_store.rooms.join(room, BEN, number)
    assert await sql_store.rooms.members(room) == [ANNA, ROBOT]
    number = await sql_store.rooms.invitation_number(room)
    assert await sql_store.rooms.join(room, BEN, number) == [ANNA, ROBOT, BEN]


async def test_everybody_sees_the_rooms_they_are_in_the_latest_first(sql_store: SqlStore) -> None:
    first, second = await room_of(sql_store, BEN), await room_of(sql_store, CAROL, BEN, owner="eve")
    await sql_store.create_session("ben", "no room")
    assert [room.session.id for room in await sql_store.rooms.all("ben")] == [second, first]
    assert [room.session.id for room in await sql_store.rooms.all("ben", limit=1)] == [second]
    (carols,) = await sql_store.rooms.all("carol")
    assert carols.members == [Member("user", "eve", "owner"), CAROL, BEN]
    assert await sql_store.rooms.all("robot-1") == []


async def test_only_the_owner_adds_and_removes_others(sql_store: SqlStore) -> None:
    room = await room_of(sql_store, BEN, CAROL)
    for user in ("ben", "eve"):
        with pytest.raises(NotFound):
            await sql_store.rooms.add(user, room, [Member("user", "eve")])
        with pytest.raises(NotFound):
            await sql_store.rooms.remove(user, room, CAROL)
    assert await sql_store.rooms.remove("ben", room, BEN) == [ANNA, CAROL]
    assert await sql_store.rooms.remove("anna", room, CAROL) == [ANNA]


async def test_an_owner_stays_and_who_is_not_there_cannot_be_removed(sql_store: SqlStore) -> None:
    room = await room_of(sql_store, BEN)
    with pytest.raises(Conflict):
        await sql_store.rooms.remove("anna", room, Member("user", "anna"))
    with pytest.raises(NotFound):
        await sql_store.rooms.remove("anna", room, CAROL)
    assert await sql_store.rooms.members(room) == [ANNA, BEN]


async def test_nobody_joins_a_session_that_is_no_room_any_more(sql_store: SqlStore) -> None:
    session = await sql_store.create_session("anna", "no room")
    for id in (session.id, session.id + 1):
        with pytest.raises(NotFound):
            await sql_store.rooms.invitation_number(id)
        with pytest.raises(NotFound):
            await sql_store.rooms.join(id, BEN, 1)
    assert await sql_store.rooms.members(session.id) == []


async def test_members_and_rooms_have_limits_and_a_refusal_changes_nothing(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store(room_limits=RoomLimits(members=2, rooms_per_user=1))).running():
        room = await room_of(store, BEN)
        with pytest.raises(QuotaReached, match="ROOM_MEMBERS"):
            await store.rooms.add("anna", room, [CAROL])
        with pytest.raises(QuotaReached, match="ROOM_MEMBERS"):
            await store.rooms.join(room, CAROL, await store.rooms.invitation_number(room))
        other = await store.create_session("anna", "")
        with pytest.raises(QuotaReached, match="ROOMS_PER_USER"):
            await store.rooms.add("anna", other.id, [])
        assert await store.rooms.members(room) == [ANNA, BEN]
        assert await store.rooms.members(other.id) == []
        await store.delete_session("anna", room)
        await store.rooms.add("anna", other.id, [])


async def test_memberships_are_read_again_only_after_a_change(sql_store: SqlStore) -> None:
    room = await room_of(sql_store, BEN)
    read = await sql_store.rooms.memberships()
    assert read is not None
    assert read.by_session == {room: [ANNA, BEN]}
    assert await sql_store.rooms.memberships(read.version) is None
    for member in (CAROL, Member("user", "ben", "watcher")):
        await sql_store.rooms.add("anna", room, [member])
        later = await sql_store.rooms.memberships(read.version)
        assert later is not None
        read = later
    await sql_store.rooms.remove("anna", room, CAROL)
    assert await sql_store.rooms.memberships(read.version) is not None


async def test_a_deleted_session_has_no_members(sql_store: SqlStore) -> None:
    room = await room_of(sql_store, BEN)
    await sql_store.delete_session("anna", room)
    assert await sql_store.rooms.members(room) == []
    assert await sql_store.rooms.all("ben") == []
