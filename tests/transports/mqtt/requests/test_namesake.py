"""Two gateways of one name, over a broker in memory."""

import asyncio
import logging

import pytest

from gateway.contract.errors import NameTaken
from tests.transports.mqtt.memory_link import MemoryBroker, MemoryLink
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import Status
from transports.mqtt.requests import namesake
from transports.mqtt.requests.namesake import OwnTopic, namesake_lives
from transports.mqtt.requests.transport import MqttTransport

TOPIC = "r/gateways/gw/status"


def say(broker: MemoryBroker, status: Status, *, retain: bool = True) -> None:
    broker.publish(TOPIC, encode(status), retain=retain)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namesake, "RETAINED_S", 0.02)
    monkeypatch.setattr(namesake, "CONNECT_S", 60)


class TalkativeLink(MemoryLink):
    """Somebody says something as soon as it is connected."""

    said: bytes = b""

    def connect(self) -> None:
        super().connect()
        asyncio.get_running_loop().call_soon(self.deliver, TOPIC, self.said, False)


async def lives(link: MemoryLink) -> bool:
    async with asyncio.timeout(30):
        return await namesake_lives(link, TOPIC)


async def test_nobody_of_our_name_is_nobody() -> None:
    assert not await lives(MemoryBroker().link("gw-look"))


@pytest.mark.parametrize("state", ["ready", "draining"])
async def test_who_speaks_now_is_alive(state: str) -> None:
    link = TalkativeLink(MemoryBroker(), "gw-look", 1000)
    link.said = encode(Status(state, heartbeat_s=10))  # type: ignore[arg-type]
    assert await lives(link)


async def test_a_retained_ready_gets_one_heartbeat_to_prove_itself() -> None:
    broker = MemoryBroker()
    say(broker, Status("ready", heartbeat_s=0.01))
    assert not await lives(broker.link("gw-look")), "a power cut left it there"


async def test_a_heartbeat_after_the_retained_ready_is_heard() -> None:
    broker = MemoryBroker()
    say(broker, Status("ready", heartbeat_s=60))
    looking = asyncio.ensure_future(lives(broker.link("gw-look")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    say(broker, Status("ready", heartbeat_s=60))
    assert await looking


async def test_a_will_ends_the_wait_at_once() -> None:
    broker = MemoryBroker()
    say(broker, Status("ready", heartbeat_s=60))
    looking = asyncio.ensure_future(lives(broker.link("gw-look")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    say(broker, Status("lost"))
    assert not await looking


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[" * 100_000, encode(Status("ready"))])
async def test_rubbish_on_our_topic_keeps_nobody_from_starting(payload: bytes) -> None:
    broker = MemoryBroker()
    broker.publish(TOPIC, payload, retain=True)
    assert not await lives(broker.link("gw-look"))


async def test_a_broker_that_is_away_is_not_waited_for() -> None:
    class NoBroker(MemoryLink):
        def connect(self) -> None:
            for watcher in self._watchers:
                watcher(False)

    assert not await lives(NoBroker(MemoryBroker(), "gw-look", 1000))


async def test_a_gateway_does_not_start_beside_a_living_namesake() -> None:
    broker = MemoryBroker()
    first = MqttTransport(broker.link("gw"), root="r", heartbeat_s=60, incarnation=1)
    second = MqttTransport(broker.link("gw"), lookout=broker.link("gw-look"), root="r", incarnation=2)

    async def beat() -> None:
        while True:  # a heartbeat of its own could be late for the second
            say(broker, Status("ready", incarnation=1, heartbeat_s=60))
            await asyncio.sleep(0)

    async with asyncio.timeout(30), first.running(), asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(beat())
        with pytest.raises(NameTaken, match="GATEWAY_NAME=gw"):
            async with second.running():
                pass
        assert first._link.connected
        beating.cancel()


async def test_a_namesake_that_speaks_later_is_told_once_and_health_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = MemoryBroker()
    transport = MqttTransport(broker.link("gw"), root="r", incarnation=1)
    link = broker.links[0]
    async with transport.running():
        for _ in range(3):
            link.deliver(TOPIC, encode(Status("ready", incarnation=2)), False)
        assert "GATEWAY_NAME=gw" in (await transport.health()).detail
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_gateway_contradicts_its_own_lost() -> None:
    broker = MemoryBroker()
    transport = MqttTransport(broker.link("gw"), root="r", incarnation=1, heartbeat_s=60)
    said = asyncio.Event()
    watcher = broker.link("watcher")
    watcher.subscribe(TOPIC, lambda _, payload, __: said.set() if b'"ready"' in payload else None)
    async with asyncio.timeout(30), transport.running(), watcher.running():
        await said.wait()
        said.clear()
        say(broker, Status("lost", incarnation=1))
        await said.wait()


def test_who_pushes_us_off_the_broker_leaves_a_trace() -> None:
    own = OwnTopic(incarnation=5)
    assert own.take(Status("lost", incarnation=4), retained=True, now=1.0)
    assert own.namesake_at is None, "that was our own earlier life"
    own.take(Status("ready", incarnation=5), retained=False, now=2.0)
    own.take(Status("lost", incarnation=6), retained=True, now=3.0)
    assert own.namesake_at == 3.0, "where our own last word should be"


def test_a_late_will_of_our_earlier_life_is_contradicted_and_no_namesake() -> None:
    own = OwnTopic(incarnation=5)
    own.take(Status("ready", incarnation=5), retained=False, now=1.0)
    assert own.take(Status("lost", incarnation=4), retained=False, now=2.0)
    assert own.namesake_at is None
