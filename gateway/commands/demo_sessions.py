"""The sessions that `sluice demo` prepares: one for its commands, and a room with the simulated device."""

from typing import NamedTuple

from gateway.contract.rooms import Member
from gateway.contract.store import MessageStore, StoredSession
from gateway.web.door.callers import LOCAL
from gateway.web.services import Services

TITLE = "Demo"
ROOM_TITLE = "Demo room"


class DemoSessions(NamedTuple):
    """ask_in: id of an empty session. room: uuid of the room. room_key: its key, the roomId of clients."""

    ask_in: int
    room: str
    room_key: str


async def prepare_sessions(gateway: Services) -> DemoSessions:
    """Return the sessions of an earlier demo if they still serve, else new ones."""
    room = await _room(gateway)  # first, because the next one has to be the latest
    return DemoSessions(await _session_to_ask_in(gateway.store), room.uuid, room.key)


async def _session_to_ask_in(store: MessageStore) -> int:
    """Return the session id for the printed commands: the latest session if it is empty, else a new one."""
    for session in await store.sessions(LOCAL.user_id, limit=1):
        if session.title == TITLE and not await store.messages(LOCAL.user_id, session.id, limit=1):
            return session.id
    return (await store.create_session(LOCAL.user_id, TITLE)).id


async def _room(gateway: Services) -> StoredSession:
    rooms = await gateway.rooms.all(LOCAL.user_id, limit=200)
    room = next((each.session for each in rooms if each.session.title == ROOM_TITLE), None)
    if room is None:
        room = await gateway.store.create_session(LOCAL.user_id, ROOM_TITLE)
    assert gateway.simulators is not None  # noqa: S101 - the demo has a broker
    device = gateway.simulators.member(room.key).name
    if not await gateway.rooms.has_device(room, device):
        await gateway.rooms.add(LOCAL.user_id, room, [Member("device", device)])
    return room
