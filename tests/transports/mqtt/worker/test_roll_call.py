"""A gateway's roll call and a worker's own `lost`, for brokers that keep less than MQTT promises."""

import asyncio

import pytest

from gateway.contract.errors import WorkerLost
from gateway.contract.events import Delta
from gateway.contract.requests import ChatRequest, Turn
from tests.reading import reading
from tests.transports.mqtt.memory_link import MemoryBroker
from transports.mqtt import status_announcer
from transports.mqtt.protocol.frame_codec import decode_status
from transports.mqtt.protocol.frames import Status
from transports.mqtt.requests.presence import Presence
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport

GATEWAY_STATUS, STATUS = "r/gateways/gw/status", "r/workers/w/status"


@pytest.fixture(autouse=True)
def answers_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_announcer, "SOON_S", 0.01)


def worker_of(broker: MemoryBroker) -> Worker:
    endless = ScriptedTransport(lambda _: [[Delta("a")]])
    return Worker(endless, broker.link("w"), root="r", incarnation=3, coalesce_s=0)


def said_on(broker: MemoryBroker, topic: str) -> list[Status]:
    return [decode_status(payload) for heard, payload in broker.log if heard == topic]


async def test_a_gateway_calls_the_roll_once_on_each_connection() -> None:
    broker = MemoryBroker()
    link = broker.link("gw")
    heard: asyncio.Queue[Status] = asyncio.Queue()
    watcher = broker.link("watcher")
    watcher.subscribe(GATEWAY_STATUS, lambda _, payload, __: heard.put_nowait(decode_status(payload)))
    transport = MqttTransport(link, root="r", heartbeat_s=0.01)
    async with asyncio.timeout(30), watcher.running(), transport.running():
        assert [(await heard.get()).roll_call for _ in range(3)] == [True, False, False]
        link.lose_connection()
        while (await heard.get()).state != "lost":
            pass
        link.connect()
        assert [(await heard.get()).roll_call for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize("sends_retained", [True, False])
async def test_a_worker_is_known_to_a_gateway_that_starts_later(
    sends_retained: bool, caplog: pytest.LogCaptureFixture
) -> None:
    broker = MemoryBroker()
    broker.sends_retained = sends_retained
    transport = MqttTransport(broker.link("gw"), root="r")
    async with asyncio.timeout(30), worker_of(broker).running():
        await broker.links[1].published()
        async with transport.running():
            await transport.until_ready()
            while not said_on(broker, STATUS)[-1].roll_call:
                await transport.presence_changed()
    assert ("does not send retained statuses" in caplog.text) is not sends_retained


def test_missing_retained_statuses_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    presence = Presence()
    for number in range(3):
        presence.take(f"w-{number}", Status("ready", roll_call=True), retained=False, now=0.0)
    assert len(caplog.records) == 1


async def test_a_retained_roll_call_is_not_answered() -> None:
    broker = MemoryBroker()
    worker, answered = worker_of(broker), asyncio.Event()
    ear = broker.link("ear")
    ear.subscribe(STATUS, lambda _, said, __: answered.set() if decode_status(said).roll_call else None)
    called = b'{"type":"status","state":"ready","roll_call":true}'
    async with asyncio.timeout(30), ear.running(), worker.running():
        link = broker.links[0]
        link.deliver(GATEWAY_STATUS, called, True)
        worker.offer(["a"], 2)
        await link.published()
        link.deliver(GATEWAY_STATUS, called, False)
        await answered.wait()
    answers = [status.models for status in said_on(broker, STATUS) if status.roll_call]
    assert answers == [["a"]]


async def test_a_worker_whose_will_was_not_published_says_lost_when_it_is_back() -> None:
    broker = MemoryBroker()
    broker.publishes_wills = False
    transport, worker = MqttTransport(broker.link("gw"), root="r"), worker_of(broker)
    link = broker.links[1]
    async with asyncio.timeout(30), transport.running(), worker.running():
        await transport.until_ready()
        request = ChatRequest("0" * 32, [Turn("user", "hi")], deadline_s=60)
        async with reading(transport, request) as stream:
            assert await anext(stream) == [Delta("a")]
            link.lose_connection()
            await worker.idle()
            link.connect()
            with pytest.raises(WorkerLost):
                await anext(stream)
        await transport.until_ready()
    assert all(status.incarnation == 3 for status in said_on(broker, STATUS))


async def test_a_worker_that_was_never_connected_does_not_say_lost() -> None:
    broker = MemoryBroker()
    async with asyncio.timeout(30), worker_of(broker).running():
        await broker.links[0].published()
        assert said_on(broker, STATUS)[0].state == "ready"
