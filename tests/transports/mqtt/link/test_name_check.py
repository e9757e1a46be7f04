"""A name that the broker's ACL forbids, over a broker in memory."""

import asyncio
import logging

import pytest

from tests.transports.mqtt.memory_link import MemoryBroker, MemoryLink
from transports.mqtt.link import name_check
from transports.mqtt.link.link import Receipt
from transports.mqtt.link.name_check import NameCheck, forbidden_name
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, tokens

FORBIDDEN = "GATEWAY_NAME=gw and MQTT_USERNAME=x"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_check, "COMES_BACK_S", 0.02)


class Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.event = asyncio.Event()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.event.set()


@pytest.fixture
async def said() -> Said:
    handler = Said()
    name_check.log.addHandler(handler)
    return handler


def link_that_forbids(topic: str, *, silent: bool) -> MemoryLink:
    link = MemoryBroker().link("gw")
    link.forbidden.add(topic)
    link.silent = silent
    return link


@pytest.mark.parametrize("silent", [False, True])
async def test_a_gateway_that_may_not_publish_its_status_is_not_ready_and_says_why(
    silent: bool, said: Said
) -> None:
    link = link_that_forbids("r/gateways/gw/status", silent=silent)
    transport = MqttTransport(link, root="r", heartbeat_s=0.01, forbidden_name=FORBIDDEN)
    async with asyncio.timeout(30), transport.running():
        await said.event.wait()
        health = await transport.health()
        assert (health.ok, health.detail) == (False, FORBIDDEN)
        said.event.clear()
        link.forbidden.clear()
        while (await transport.health()).detail == FORBIDDEN:
            await transport.presence_changed()
    assert said.lines == [FORBIDDEN], "once"


@pytest.mark.parametrize("silent", [False, True])
async def test_a_worker_that_may_not_publish_its_status_says_why(silent: bool, said: Said) -> None:
    link = link_that_forbids("r/workers/gw/status", silent=silent)
    worker = Worker(ScriptedTransport(lambda _: tokens("x")), link, root="r", forbidden_name=FORBIDDEN)
    async with asyncio.timeout(30), worker.running():
        await said.event.wait()
        assert worker.problem == FORBIDDEN


async def test_a_status_that_comes_back_before_it_is_acknowledged_is_well(said: Said) -> None:
    link = MemoryBroker().link("gw")
    link.silent = True
    check = NameCheck(link, FORBIDDEN)
    receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
    check.said(receipt)
    check.came_back()
    receipt.set_result(Receipt.TAKEN)
    await asyncio.sleep(0)
    assert check._timer is None, "nothing is waited for"


async def test_a_goodbye_that_the_broker_does_not_acknowledge_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check = NameCheck(MemoryBroker().link("gw"), FORBIDDEN)
    receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
    check.said(receipt)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await receipt
    await asyncio.sleep(0)
    assert caplog.messages == []


@pytest.mark.parametrize("silent", [False, True])
async def test_a_status_that_comes_back_is_well(silent: bool, said: Said) -> None:
    link = MemoryBroker().link("gw")
    link.silent = silent
    transport = MqttTransport(link, root="r", heartbeat_s=0.01)
    async with asyncio.timeout(30), transport.running():
        for _ in range(2):
            await transport.presence_changed()
        assert "no MQTT worker" in (await transport.health()).detail
    assert said.lines == []


@pytest.mark.parametrize(("name", "advice"), [("w.17", True), ("w-17", False)])
def test_a_name_with_a_dot_may_be_one_that_rabbitmq_cannot_take(name: str, advice: bool) -> None:
    assert ("RabbitMQ takes no name with a dot" in forbidden_name("u", "GATEWAY_NAME", name)) is advice
