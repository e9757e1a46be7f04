"""A gateway dies while it answers a device: the one that takes the reply over sends the rest of the story."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import StorageFailed
from gateway.contract.events import Delta
from gateway.contract.store import StoredMessage
from gateway.core.access import OwnerAccess
from gateway.core.adopted_chats import AdoptedChats
from gateway.core.run import LEFT
from gateway.core.stops import Stops
from gateway.store.local_signals import LocalHub, LocalSignals
from tests.core.house import House
from tests.core.town import END, Town, heard
from tests.live.looking import look_again
from tests.transports.mqtt.device_scene import chats_of, device_at
from tests.transports.mqtt.memory_link import MemoryBroker, MemoryLink
from transports.mqtt.devices.ingress import MqttIngress
from transports.scripted import Step


@dataclass
class Gateway:
    home: House
    ingress: MqttIngress
    link: MemoryLink


class Village(Town):
    """A town with a broker, and a device that stays connected to it."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.broker = MemoryBroker()
        self.device = device_at(self.broker, "robot-1")

    @asynccontextmanager
    async def answering(self, *steps: Step, is_there: bool = True, **more: Any) -> AsyncIterator[Gateway]:
        """A gateway that takes over what is there. is_there: its broker is connected when it begins."""
        async with self.gateway(*steps, **more) as home:
            link = self.broker.link("gateway")
            chats = chats_of(home)
            ingress = MqttIngress(link, chats, stop=chats.stop, coalesce_s=0, retry_s=0)
            adoption = home.conversations.adoption(0)
            adoption.on_chat = AdoptedChats(home.store, ingress).take
            await adoption.begin(alone=True)
            async with link.running(), ingress.running():
                if not is_there:
                    link.lose_connection()
                yield Gateway(home, ingress, link)

    async def leave_chat(self, **chat: Any) -> None:
        """Let a gateway die after it has sent the device `Hel`."""
        async with self.answering([Delta("Hel")]) as gateway:
            self.device.chat("c1", "Hi", **chat)
            await self.has_begun(gateway.home)
            if chat.get("stream", True):
                await self.device.until("chunk")
            await gateway.home.checkpoints.keep_all()
            killed = self.kill()
        killed()
        self.device.heard.clear()

    async def has_begun(self, home: House) -> None:
        while not home.runs.all():
            await look_again()
        (run,) = home.runs.all()
        await heard(home, run, "Hel")


@pytest.fixture
def village(tmp_path: Path) -> Village:
    return Village(tmp_path)


async def settled(gateway: Gateway) -> None:
    await gateway.ingress.idle()
    await settling()


async def settling() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_there", [True, False])
async def test_the_device_gets_the_whole_text_once_without_asking(village: Village, is_there: bool) -> None:
    await village.leave_chat()
    async with village.answering([Delta("Hello")], END, is_there=is_there) as gateway:
        if not is_there:
            while gateway.home.runs.all():
                await look_again()
            await settling()
            gateway.link.connect()
        reply = await village.device.until("reply", "error")
        await settled(gateway)
    assert village.device.types() == ["reply"]
    assert (reply["id"], reply["text"], reply["reason"]) == ("c1", "Hello", "stop")
    assert village.message().status == "complete"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_device_that_asks_again_meanwhile_gets_one_answer(village: Village, stream: bool) -> None:
    await village.leave_chat(stream=stream)
    go_on = asyncio.Event()
    async with village.answering([Delta("Hel")], go_on.wait, [Delta("lo")], END) as gateway:
        village.device.chat("c1", "Hi", stream=stream)
        await village.device.until_taken()
        go_on.set()
        reply = await village.device.until("reply", id="c1")
        village.device.chat("c1", "Hi", stream=stream)
        await settled(gateway)
    assert village.device.types("c1") == ["reply"]
    assert reply["text"] == "Hello"


async def test_it_can_be_cancelled(village: Village) -> None:
    await village.leave_chat()
    async with village.answering([Delta("Hel")]) as gateway:
        village.device.cancel("c1")
        reply = await village.device.until("reply", "error")
        await settled(gateway)
    assert (reply["reason"], reply["text"]) == ("user_stop", "Hel")
    assert (village.message().reason, village.device.types()) == ("user_stop", ["reply"])


async def test_it_can_be_cancelled_at_another_gateway(village: Village) -> None:
    await village.leave_chat()
    hub = LocalHub()
    here, there = LocalSignals("a", hub), LocalSignals("b", hub)
    async with village.answering([Delta("Hel")]) as gateway, village.gateway() as other:
        Stops(gateway.home.runs, gateway.home.store, OwnerAccess(), here)
        async with here.running(), there.running():
            chats = chats_of(other, signals=there)
            for unknown in (("robot-1", "c2"), ("robot-2", "c1"), ("", "")):
                await chats.stop(*unknown)
            assert village.message().status == "streaming"
            await chats.stop("robot-1", "c1")
    assert village.message().reason == "user_stop"


async def test_one_that_cannot_be_continued_ends_with_its_error(village: Village) -> None:
    await village.leave_chat()
    village.kept.clear()
    async with village.answering() as gateway:
        error = await village.device.until("reply", "error")
        await settled(gateway)
    assert (error["code"], error["retryable"], village.device.types()) == ("interrupted", True, ["error"])


async def test_it_is_not_abandoned_while_its_device_waits(village: Village) -> None:
    await village.leave_chat()
    go_on = asyncio.Event()
    async with village.answering([Delta("Hel")], go_on.wait, [Delta("lo")], END) as gateway:
        (run,) = gateway.home.runs.all()
        while run.readers == 0:
            await look_again()
        assert run.leave_timer is None
        go_on.set()
        await village.device.until("reply")


async def test_a_device_that_is_away_abandons_it(village: Village) -> None:
    await village.leave_chat()
    village.device.status("lost")
    async with village.answering([Delta("Hel")], grace_s=0) as gateway:
        await settled(gateway)
    assert village.message().reason == "abandoned"


async def test_a_gateway_that_is_stopped_leaves_the_end_to_the_next_one(village: Village) -> None:
    async with village.answering([Delta("Hel")]) as gateway:
        village.device.chat("c1", "Hi")
        await village.has_begun(gateway.home)
        (run,) = gateway.home.runs.all()
        run.settle(LEFT)
        await settled(gateway)
    assert village.device.kinds() in (["accept", "chunk"], ["accept"])
    async with village.answering([Delta("Hello")], END) as gateway:
        await village.device.until("reply", "error", "end")
        await settled(gateway)
    assert village.device.types()[-1] == "reply"
    assert village.device.types().count("reply") == 1
    assert "error" not in village.device.types()


async def test_without_its_question_the_device_must_ask_again(village: Village) -> None:
    class Away:
        """The store, which cannot read messages."""

        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        async def message(self, user_id: str, message_id: int) -> StoredMessage:
            raise StorageFailed("away")

    await village.leave_chat()
    async with village.answering([Delta("Hello")], END, store=Away) as gateway:
        await settled(gateway)
        assert village.device.heard == []
        village.device.chat("c1", "Hi")
        reply = await village.device.until("reply")
    assert reply["text"] == "Hello"
