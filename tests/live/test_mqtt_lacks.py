"""Gateway and worker on a broker without retained messages, as far as MQTT 5 tells them."""

import asyncio
import logging

import pytest

from gateway.contract.events import Delta
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.reading import events_of
from transports.mqtt.link import paho_internals
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, tokens

pytestmark = [pytest.mark.live, requires_mosquitto()]

SETTINGS = "allow_anonymous true\npersistence false\nretain_available false\n"


@pytest.fixture(params=["the private way", "the public way"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the two connections of a link: see PlainConnection."""
    if request.param == "the public way":
        monkeypatch.setitem(paho_internals.REASONS, "_gone", "for this test")
    return str(request.param)


@pytest.mark.usefixtures("way")
async def test_a_worker_without_retained_statuses_answers_the_roll_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with running_mosquitto(SETTINGS) as broker, asyncio.timeout(120):
        address = replace(broker.address, protocol="5")
        announced = asyncio.Event()
        watcher = AiomqttLink(address, client_id="watcher")
        watcher.subscribe("sluice/v1/workers/+/status", lambda *_: announced.set())
        worker = Worker(
            ScriptedTransport(lambda _: tokens("a", "b")), AiomqttLink(address, client_id="w"), heartbeat_s=60
        )
        transport = MqttTransport(AiomqttLink(address, client_id="gw"), heartbeat_s=60)
        async with watcher.running(), worker.running():
            await announced.wait()
            async with transport.running():
                await transport.until_ready()
                request = ChatRequest("0" * 32, [Turn("user", "hi")], deadline_s=60)
                text = "".join(
                    event.text for event in await events_of(transport, request) if isinstance(event, Delta)
                )
    assert text == "ab"
    assert "which has no retained messages" in caplog.text
    assert "does not send retained statuses" in caplog.text
    assert "lost the MQTT broker" not in caplog.text
