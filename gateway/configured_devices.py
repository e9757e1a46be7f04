"""Makes what devices use: their chats, and their places in rooms."""

from collections.abc import Awaitable, Callable

from gateway.configured_transports import ingress_of
from gateway.contract.ingress import Ingress
from gateway.core.adopted_chats import AdoptedChats
from gateway.core.adoption import Adoption
from gateway.core.conversations import Conversations
from gateway.core.device_chats import DeviceChats
from gateway.core.device_owners import DeviceOwners
from gateway.core.device_rooms import DeviceRooms
from gateway.core.members import MemberAccess
from gateway.core.room_hall import RoomHall
from gateway.core.room_posts import RoomPosts
from gateway.core.runs import Runs
from gateway.core.stops import Stops
from gateway.settings import Settings
from gateway.store.sql_store import SqlStore
from transports.mqtt.link.link import Link

ANOTHERS_S = 5.0
"""Seconds within which another gateway sends a device the first message of a reply that it has started."""


def devices_of(
    settings: Settings,
    link: Link | None,
    conversations: Conversations,
    runs: Runs,
    store: SqlStore,
    owners: DeviceOwners,
    posts: RoomPosts,
    hall: RoomHall,
    access: MemberAccess,
    spend: Callable[[str], Awaitable[None]],
    stops: Stops,
    adoption: Adoption,
) -> tuple[Ingress | None, DeviceRooms]:
    """Return the ingress, which is None without a broker, and the rooms of devices.

    spend: counts one request of a user; raises LimitExceeded at the limit.
    """
    chats = DeviceChats(
        conversations,
        runs,
        store,
        owners,
        max_content_chars=settings.max_content_chars,
        posts=posts,
        roles=access.rooms_of_device,
        stop=stops.stop,
        spend=spend,
        now=store.membership.clock.utc,
        anothers_s=0 if store.membership.gateways is None else ANOTHERS_S,
    )
    ingress = None if link is None else ingress_of(settings, link, chats, chats.stop)
    tell = (lambda *_: None) if ingress is None else ingress.tell
    signals, me = store.membership.signals, store.reply_owners.owner
    rooms = DeviceRooms(hall, access, store, owners, signals, me, tell)
    if ingress is not None:
        ingress.watch(rooms)
        adoption.on_chat = AdoptedChats(store, ingress).take
        adoption.on_taken = rooms.taken
    return ingress, rooms
