"""Devices in rooms: a device that can be reached is present in its rooms, and hears them.

Of several gateways one does this for a device: the one with the highest hash of both names among the living
ones. Each computes the same without asking the others, and only the devices of a gateway that comes or goes
change over. It says so to the others, which would read it in the list of gateways up to a second later. All
gateways get the statuses of devices; a chat reaches one, which tells the others of it.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from functools import partial

from gateway.contract.adoption import LeftReply
from gateway.contract.errors import GatewayError, NotFound
from gateway.contract.signals import Body, Signals
from gateway.contract.store import MessageStore
from gateway.core.device_ear import DeviceEar, Tell
from gateway.core.device_owners import DeviceOwners
from gateway.core.members import MemberAccess
from gateway.core.room_hall import RoomHall
from gateway.core.room_missed import TooMuchMissed
from gateway.core.taken_replies import TakenReplies

log = logging.getLogger("sluice.rooms")

TOPIC = "device"
MAX_PRESENT = 10_000
LOOK_AGAIN_S = 15.0
"""Seconds between two looks at the owners of all devices that are in rooms."""


class DeviceRooms:
    """Implements gateway.contract.ingress.DeviceWatch.

    Args:
        signals: to the other gateways.
        me: name of this gateway, as the list of gateways has it.
        tell: see Tell.
    """

    def __init__(
        self,
        hall: RoomHall,
        access: MemberAccess,
        store: MessageStore,
        owners: DeviceOwners,
        signals: Signals,
        me: str,
        tell: Tell,
    ) -> None:
        self._hall = hall
        self._access = access
        self._store = store
        self._owners = owners
        self._signals = signals
        self._me = me
        self._tell = tell
        self._others: Collection[str] = ()
        self._present: OrderedDict[str, None] = OrderedDict()
        self._ears: dict[str, dict[int, DeviceEar]] = {}
        self._unsettled: dict[str, None] = {}
        self._taken = TakenReplies()
        self._called = asyncio.Event()
        access.on_change = self._look_at_all
        signals.on(TOPIC, self._hear)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let devices be in their rooms during the block."""
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(self._work())
            self._signals.send(TOPIC, {"gateway": self._me, "lives": True})
            try:
                yield
            finally:
                work.cancel()
                for device in self._ears:
                    self._signals.send(TOPIC, {"device": device})
                self._signals.send(TOPIC, {"gateway": self._me, "lives": False})
                for ears in self._ears.values():
                    for ear in ears.values():
                        ear.leave()

    def came(self, device: str, *, only_here: bool) -> None:
        if only_here and not self._is_mine(device):
            self._signals.send(TOPIC, {"device": device})
        if device in self._present:
            self._present.move_to_end(device)
            return
        self._present[device] = None
        self._look_at(device)
        if len(self._present) > MAX_PRESENT:
            self.went(next(iter(self._present)))

    def went(self, device: str) -> None:
        if device in self._present:
            del self._present[device]
            self._look_at(device)

    def gateways_changed(self, others: Collection[str]) -> None:
        """others: the other living gateways."""
        handed_over = [device for device in self._ears if self._is_mine(device)]
        self._others = tuple(others)
        for device in handed_over:
            if not self._is_mine(device):
                self._signals.send(TOPIC, {"device": device})
        self._look_at_all()

    def dismissed(self, ear: DeviceEar) -> None:
        """The hall has removed the listener: it is no member any more, or events were lost."""
        ear.is_dismissed = True
        self._look_at(ear.device)

    def taken(self, reply: LeftReply) -> None:
        """A reply was taken over here: devices whose room it was may have heard its beginning only."""
        if self._access.has_devices(reply.session_id):
            self._signals.send(
                TOPIC, {"left": [reply.session_id, reply.stream_id, reply.message_id, reply.question_id]}
            )
            self._keep_taken(reply)

    def _keep_taken(self, reply: LeftReply) -> None:
        self._taken.add(reply)
        for device, ears in self._ears.items():
            if reply.session_id in ears:
                self._look_at(device)

    def _hear(self, body: Body) -> None:
        match body:
            case {"left": [int(session_id), str(stream_id), int(id), int(question_id)]}:
                self._keep_taken(LeftReply(session_id, stream_id, id, question_id))
            case {"device": str(device)}:
                self.came(device, only_here=False)
            case {"gateway": str(gateway), "lives": bool(lives)}:
                others = {*self._others} - {gateway}
                self.gateways_changed(others | {gateway} if lives else others)

    def _is_mine(self, device: str) -> bool:
        return max((self._me, *self._others), key=partial(weight, device)) == self._me

    def _look_at(self, device: str) -> None:
        self._unsettled[device] = None
        self._called.set()

    def _look_at_all(self) -> None:
        for device in {**self._present, **self._ears}:
            if device in self._ears or self._access.rooms_of_device(device):
                self._look_at(device)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        look_again_at = loop.time() + LOOK_AGAIN_S
        while True:
            self._called.clear()
            while self._unsettled:
                device = next(iter(self._unsettled))
                del self._unsettled[device]
                try:
                    await self._settle(device)
                except GatewayError as error:  # tried again with the next look at all
                    log.info("the rooms of device %s cannot be joined now: %s", device, error)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(look_again_at):
                    await self._called.wait()
            if loop.time() >= look_again_at:
                self._look_at_all()
                look_again_at = loop.time() + LOOK_AGAIN_S

    async def _settle(self, device: str) -> None:
        """Let the device join the rooms that it should be in, and leave the others. Raises StorageFailed."""
        rooms, owner = await self._rooms_of(device)
        ears = self._ears.setdefault(device, {})
        for ear in list(ears.values()):
            if ear.session_id not in rooms or ear.user_id != owner:
                del ears[ear.session_id]
                ear.leave()
        if owner is not None:
            for session_id in rooms:
                await self._be_in(device, owner, session_id, ears)
        if not ears:
            del self._ears[device]
        for ear in ears.values():
            await self._make_up_for(ear)

    async def _rooms_of(self, device: str) -> tuple[Collection[int], str | None]:
        """Return the session ids of the rooms that the device should be in here, and the device's owner."""
        if device not in self._present or not self._is_mine(device):
            return (), None
        rooms = tuple(self._access.rooms_of_device(device))
        return rooms, await self._owners.owner_of(device, heard=True) if rooms else None

    async def _be_in(self, device: str, owner: str, session_id: int, ears: dict[int, DeviceEar]) -> None:
        """Let the device join a room, unless it is there. ears: those of the device."""
        known = ears.get(session_id)
        if known is not None and not known.is_dismissed:
            return
        ear = ears[session_id] = DeviceEar(device, owner, session_id, self._tell, self.dismissed, known)
        try:
            await self._join(ear)
        except GatewayError as error:
            del ears[session_id]
            if not isinstance(error, NotFound):  # deleted, or its owner may not see the room
                raise

    async def _make_up_for(self, ear: DeviceEar) -> None:
        """Tell the device replies that were taken over, and of which it heard nothing here."""
        for reply in self._taken.missed_by(ear.device, ear.session_id):
            if ear.has_heard(reply.stream_id):
                continue
            if await self._hall.tell_again(ear.user_id, reply, ear):
                self._taken.told(ear.device, reply)

    async def _join(self, ear: DeviceEar) -> None:
        session = await self._store.session(ear.user_id, ear.session_id)
        join = partial(
            self._hall.join,
            ear.user_id,
            ear.who,
            session,
            ear,
            may_stay=lambda: ear.session_id in self._access.rooms_of_device(ear.device),
        )
        try:
            ear.place = await join(after=ear.after)
        except TooMuchMissed:
            ear.place = await join()
        ear.after = ear.place.after


def weight(device: str, gateway: str) -> bytes:
    """Of several gateways, the one with the highest weight holds the device."""
    return hashlib.blake2b(f"{gateway}\0{device}".encode(errors="replace"), digest_size=8).digest()
