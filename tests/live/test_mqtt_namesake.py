"""Two gateways of one name on a real Mosquitto: the second does not start, but nothing else keeps it back."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.live.brokers import free_port, requires_mosquitto, running_mosquitto
from tests.live.guarded import guarded_broker
from tests.live.hand_worker import GATEWAY, Hand
from tests.live.looking import look_again
from tests.live.nursery import forked_sluice
from tests.live.programs import Program
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress
from transports.mqtt.protocol.frame_codec import decode_status, encode
from transports.mqtt.protocol.frames import Status
from transports.mqtt.requests.transport import MqttTransport

pytestmark = [pytest.mark.live, requires_mosquitto()]

TOPIC = f"sluice/v1/gateways/{GATEWAY}/status"


@asynccontextmanager
async def started(folder: Path, address: BrokerAddress, **more: str) -> AsyncIterator[Program]:
    settings = {
        "PORT": "0",
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'gateway.db'}",
        "LLM_COMM_MODE": "mqtt",
        "GATEWAY_NAME": GATEWAY,
        "MQTT_BROKER_HOST": address.host,
        "MQTT_BROKER_PORT": str(address.port),
        **more,
    }
    async with forked_sluice("serve", cwd=folder, **settings) as program:
        yield program


async def say_that_it_lives(link: AiomqttLink) -> None:
    """Send more heartbeats than the gateway itself: a busy machine may send one too late for the second."""
    while True:
        await link.publish(TOPIC, encode(Status("ready", incarnation=1, heartbeat_s=60)), retain=True)
        await look_again()


async def test_a_second_gateway_of_a_living_ones_name_refuses_to_start(tmp_path: Path) -> None:
    changes: list[bool] = []
    async with asyncio.timeout(120), running_mosquitto() as broker:
        link = AiomqttLink(broker.address, client_id=GATEWAY)
        link.watch(changes.append)
        async with MqttTransport(link, heartbeat_s=60, incarnation=1).running(), asyncio.TaskGroup() as tasks:
            beating = tasks.create_task(say_that_it_lives(link))
            async with started(tmp_path, broker.address) as second:
                assert await second.ended() != 0
                assert changes == [True], "the living one was not pushed off the broker"
            beating.cancel()
    assert "Traceback" not in second.said
    (line,) = [line for line in second.said.splitlines() if "GATEWAY_NAME" in line]
    assert f"GATEWAY_NAME={GATEWAY}" in line


async def test_a_ready_that_a_power_cut_left_behind_costs_one_heartbeat(tmp_path: Path) -> None:
    async with asyncio.timeout(120), running_mosquitto() as broker:
        hand = Hand(broker, "hand")
        async with hand.running():
            left = Status("ready", incarnation=1, heartbeat_s=1)
            await hand.publish(TOPIC, encode(left), retain=True)
        async with started(tmp_path, broker.address) as program:
            await program.until_said("listening on")


async def test_a_killed_gateway_leaves_its_will_and_starts_again(tmp_path: Path) -> None:
    """The will ends the wait for a heartbeat: see test_namesake.py."""
    said = {"ready": asyncio.Event(), "lost": asyncio.Event()}
    async with asyncio.timeout(120), running_mosquitto() as broker:
        hand = Hand(broker, "hand")
        hand.link.subscribe(TOPIC, lambda _, payload, __: said[decode_status(payload).state].set())
        async with hand.running(), started(tmp_path, broker.address) as first:
            await said["ready"].wait()
            await first.end(signal.SIGKILL)
            await said["lost"].wait()
        async with started(tmp_path, broker.address) as again:
            await again.until_said("listening on")


async def test_a_broker_that_is_away_keeps_nobody_from_starting(tmp_path: Path) -> None:
    nowhere = BrokerAddress("127.0.0.1", free_port())
    async with asyncio.timeout(120), started(tmp_path, nowhere) as program:
        await program.until_said("listening on")
        await program.until_said("no MQTT broker")
        assert await program.end(signal.SIGTERM) == 0
    assert program.said.count("no MQTT broker") == 1


class Alarm(logging.Handler):
    """Waits for both of two to have complained."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        self.enough = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if len(self.lines) == 2:
            self.enough.set()


async def test_two_that_started_together_both_say_so_once() -> None:
    alarm, logger = Alarm(), logging.getLogger("transports.mqtt.requests.transport")
    logger.addHandler(alarm)
    try:
        async with asyncio.timeout(120), running_mosquitto() as broker:
            links = [AiomqttLink(broker.address, client_id=GATEWAY) for _ in range(2)]
            twins = [MqttTransport(link, incarnation=number) for number, link in enumerate(links, 1)]
            async with twins[0].running(), twins[1].running():
                await alarm.enough.wait()
                healths = [await twin.health() for twin in twins]
    finally:
        logger.removeHandler(alarm)
    assert len(alarm.lines) == 2
    for health in healths:
        assert not health.ok
        assert f"GATEWAY_NAME={GATEWAY}" in health.detail


async def test_a_broker_that_gives_both_one_client_id_still_keeps_the_second_from_starting(
    tmp_path: Path,
) -> None:
    connected = asyncio.Event()
    refused = False
    async with asyncio.timeout(120), guarded_broker(tmp_path, "gateway") as (guarded, _):
        own = {
            "GATEWAY_NAME": "gateway",
            "MQTT_USERNAME": "gateway",
            "MQTT_PASSWORD": (tmp_path / "gateway.password").read_text(),
        }
        link = guarded.link("gateway")
        link.watch(lambda is_connected: connected.set() if is_connected else connected.clear())
        async with MqttTransport(link, heartbeat_s=0.5).running():
            while (
                not refused
            ):  # on a busy machine the first one may be back too late for the second one's look
                async with started(tmp_path, guarded.address, **own) as second:
                    await second.until_said("listening on|GATEWAY_NAME=gateway")
                    refused = "listening on" not in second.said
                    assert not refused or await second.ended() != 0
            await connected.wait()
