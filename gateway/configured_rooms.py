"""Makes the rooms: their members, and the hall in which their listeners hear them."""

from gateway.contract.replies_elsewhere import RepliesElsewhere
from gateway.core.device_owners import DeviceOwners
from gateway.core.members import MemberAccess
from gateway.core.room_hall import RoomHall
from gateway.core.room_signals import RoomSignals
from gateway.core.rooms import Rooms
from gateway.core.runs import Runs
from gateway.core.session_news import SessionNews
from gateway.store.sql_store import SqlStore


def rooms_of(
    store: SqlStore,
    runs: Runs,
    news: SessionNews,
    access: MemberAccess,
    owners: DeviceOwners,
    elsewhere: RepliesElsewhere | None,
) -> tuple[Rooms, RoomHall]:
    signals = RoomSignals(store.membership.signals, store.reply_owners.owner)
    hall = RoomHall(runs, store, news, access, signals, store.rooms.last_message, elsewhere)
    return Rooms(store.rooms, access, owners, hall.members_changed), hall
