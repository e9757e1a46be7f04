"""Rooms with devices, over a broker in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.contract.authors import Author
from gateway.contract.rooms import Member
from gateway.contract.store import StoredSession
from gateway.core.device_chats import DeviceChats
from gateway.core.device_rooms import DeviceRooms
from gateway.core.members import MemberAccess
from gateway.core.room_hall import RoomHall
from gateway.core.room_posts import NewMessage, Posted, RoomPosts
from gateway.core.room_signals import RoomSignals
from gateway.store.local_signals import LocalHub, LocalSignals
from tests.core.house import USER, House, house, no_pause
from tests.core.room_house import Ear
from tests.transports.mqtt.device_end import DeviceEnd
from tests.transports.mqtt.device_scene import MAX_CONTENT_CHARS, device_at, owners_of
from tests.transports.mqtt.memory_link import MemoryBroker, MemoryLink
from transports.mqtt.devices.ingress import MqttIngress
from transports.scripted import Script, tokens

OWNER, BEN = Member("user", USER, "owner"), Member("user", "ben")


ROBOT, WATCHING = Member("device", "robot-1"), Member("device", "robot-1", "watcher")


LOCAL = Author("user", USER)


SAYS: Script = lambda _: tokens("Hel", "lo")  # noqa: E731 - a script is a function


@dataclass
class Gateway:
    """One gateway with its link to the broker."""

    home: House
    link: MemoryLink
    ingress: MqttIngress
    hall: RoomHall
    posts: RoomPosts
    devices: DeviceRooms
    access: MemberAccess


@dataclass
class Scene:
    gateway: Gateway
    broker: MemoryBroker
    hub: LocalHub
    session: StoredSession
    device: DeviceEnd

    def members(self, *members: Member) -> None:
        """Change the members, as Rooms does."""
        self.gateway.access.put(self.session.id, [OWNER, *members])
        self.gateway.hall.members_changed(self.session.id)

    async def post(self, text: str, **said: Any) -> Posted:
        new: dict[str, Any] = {"user_id": USER, "who": LOCAL, "session_id": self.session.id}
        return await self.gateway.posts.post(NewMessage(**new | {"content": text} | said))

    async def present(self, name: str = "robot-1", *, until: bool = True) -> None:
        """Wait until the device is in the room, or is not."""
        ear = Ear()
        async with asyncio.timeout(30):
            place = await self.gateway.hall.join(USER, LOCAL, self.session, ear)
            who = Author("device", name)
            await ear.until(lambda: (who in [person.who for person in place.people()]) == until)
            place.leave()

    def room_frames(self, device: DeviceEnd | None = None) -> list[dict[str, Any]]:
        heard = (device or self.device).heard
        return [frame for frame in heard if "room" in frame and frame["type"] != "presence"]

    async def contents(self) -> list[tuple[str, str]]:
        kept = await self.gateway.home.store.messages(USER, self.session.id, limit=1000)
        return [(str(message.author), message.content) for message in kept]


async def heard(device: DeviceEnd, type: str, **fields: Any) -> dict[str, Any]:
    """Wait for a frame of a room with these fields."""
    count = 0
    while True:
        count += 1
        await device.until(type, count=count)
        frames = [frame for frame in device.heard if frame["type"] == type and "room" in frame]
        for frame in frames:
            if fields.items() <= frame.items():
                return frame


@asynccontextmanager
async def gateway_on(
    broker: MemoryBroker, hub: LocalHub, home: House, access: MemberAccess, name: str
) -> AsyncIterator[Gateway]:
    link = broker.link(name)
    signals = LocalSignals(name, hub)
    heard = RoomSignals(signals, name)
    hall = RoomHall(home.runs, home.store, home.news, access, heard, home.last_message, sleep=no_pause)
    posts = RoomPosts(home.store, home.conversations, access, home.news, MAX_CONTENT_CHARS)
    owners = owners_of(home)
    chats = DeviceChats(
        home.conversations,
        home.runs,
        home.store,
        owners,
        max_content_chars=MAX_CONTENT_CHARS,
        posts=posts,
        roles=access.rooms_of_device,
        anothers_s=5,
    )
    ingress = MqttIngress(link, chats, coalesce_s=0, retry_s=0)
    devices = DeviceRooms(hall, access, home.store, owners, signals, name, ingress.tell)
    ingress.watch(devices)
    async with signals.running(), hall.running(), devices.running(), link.running(), ingress.running():
        yield Gateway(home, link, ingress, hall, posts, devices, access)


@asynccontextmanager
async def scene(
    tmp_path: Path, *members: Member, script: Script = SAYS, heard: bool = True
) -> AsyncIterator[Scene]:
    access = MemberAccess()
    async with house(tmp_path, script, in_sql=True, ttl_s=600, access=access) as home:
        session = await home.store.create_session(USER, "Kitchen")
        access.put(session.id, [OWNER, *members])
        broker, hub = MemoryBroker(), LocalHub()
        async with asyncio.timeout(30), gateway_on(broker, hub, home, access, "gateway") as gateway:
            at = Scene(gateway, broker, hub, session, device_at(broker, "robot-1"))
            if heard:
                at.device.status("ready", incarnation=1)
                if any(member.kind == "device" for member in members):
                    await at.present()
            yield at
