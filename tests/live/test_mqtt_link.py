"""The Link against real brokers."""

import asyncio
import logging
import os
import signal
import sys
from asyncio import Future
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import pytest

from gateway.contract.errors import TooLarge
from gateway.contract.record import replace
from tests.live.brokers import OPEN_SETTINGS, Mosquitto, free_port, requires_mosquitto, running_mosquitto
from transports.mqtt.embedded_broker import EmbeddedBroker, embedded_broker
from transports.mqtt.link import paho_internals
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress, Envelope, Receipt, Will

pytestmark = [pytest.mark.live, requires_mosquitto()]

Protocol = Literal["auto", "5", "3.1.1"]


class Ear:
    """Hears one topic on a link, and waits for what comes."""

    def __init__(self, link: AiomqttLink, topic: str) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._news = asyncio.Event()
        link.subscribe(topic, self._hear)

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        self.heard.append((topic, payload, retained))
        self._news.set()

    async def hears(self, count: int) -> list[bytes]:
        async with asyncio.timeout(120):
            while len(self.heard) < count:
                self._news.clear()
                await self._news.wait()
        return [payload for _, payload, _ in self.heard]


class States:
    """The connection's ups and downs."""

    def __init__(self, link: AiomqttLink) -> None:
        self._link = link
        self._change: Future[None] | None = None
        link.watch(self._changed)

    def _changed(self, connected: bool) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    async def until(self, connected: bool) -> None:
        async with asyncio.timeout(120):
            while self._link.connected is not connected:
                self._change = asyncio.get_running_loop().create_future()
                await self._change


async def run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL)
    async with asyncio.timeout(120):
        assert await process.wait() == 0


@asynccontextmanager
async def connected(*links: AiomqttLink, will: Will | None = None) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for link in links:
            states = States(link)
            await stack.enter_async_context(link.running(will))
            await states.until(True)
        yield


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
async def test_messages_arrive_in_order_with_either_version(protocol: Protocol) -> None:
    async with running_mosquitto() as broker:
        address = replace(broker.address, protocol=protocol)
        link = AiomqttLink(address, client_id="one")
        ear = Ear(link, "here/+")
        async with connected(link), asyncio.timeout(120):
            envelope = Envelope(5, "answer/here", "an id", "00-trace")
            sent = [link.publish("here/x", b"%d" % number, envelope=envelope) for number in range(500)]
            assert {await receipt for receipt in sent} == {Receipt.TAKEN}
            assert await ear.hears(500) == [b"%d" % number for number in range(500)]


async def test_messages_arrive_in_order_the_public_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(paho_internals.REASONS, "_gone", "for this test")
    async with running_mosquitto() as broker:
        link = AiomqttLink(broker.address, client_id="one")
        ear = Ear(link, "here/+")
        async with connected(link), asyncio.timeout(120):
            envelope = Envelope(5, "answer/here", "an id", "00-trace")
            sent = [link.publish("here/x", b"%d" % number, envelope=envelope) for number in range(500)]
            assert {await receipt for receipt in sent} == {Receipt.TAKEN}
            assert await ear.hears(500) == [b"%d" % number for number in range(500)]


async def test_nobody_listening_is_told_by_mqtt_5() -> None:
    async with running_mosquitto() as broker:
        link = AiomqttLink(broker.address, client_id="one")
        async with connected(link), asyncio.timeout(120):
            assert await link.publish("nobody", b"x") is Receipt.NOBODY


async def test_a_payload_over_the_cap_is_refused_before_it_is_sent() -> None:
    async with running_mosquitto() as broker:
        link = AiomqttLink(broker.address, client_id="one", max_payload=100)
        ear = Ear(link, "here")
        async with connected(link), asyncio.timeout(120):
            with pytest.raises(TooLarge):
                link.publish("here", b"x" * 101)
            link.publish("here", b"x" * 100)
            assert await ear.hears(1) == [b"x" * 100]


async def test_a_handler_that_fails_is_logged_and_the_connection_lives_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(topic: str, payload: bytes, retained: bool) -> None:
        raise ZeroDivisionError

    async with running_mosquitto() as broker:
        link = AiomqttLink(broker.address, client_id="one")
        link.subscribe("bad", fail)
        ear = Ear(link, "good")
        async with connected(link), asyncio.timeout(120):
            link.publish("bad", b"x")
            link.publish("good", b"x")
            await ear.hears(1)
    assert "ZeroDivisionError" in caplog.text


async def test_a_lost_broker_is_told_and_found_again() -> None:
    async with running_mosquitto() as broker:
        link = AiomqttLink(broker.address, client_id="one")
        ear, states = Ear(link, "here"), States(link)
        async with connected(link):
            broker.freeze()
            unanswered = link.publish("here", b"into the void")
            await broker.kill()
            await states.until(False)
            assert await asyncio.wait_for(unanswered, 120) is Receipt.LOST
            assert await link.publish("here", b"nowhere") is Receipt.LOST
            await broker.start()
            await states.until(True)
            assert await link.publish("here", b"back") is Receipt.TAKEN
            assert await ear.hears(1) == [b"back"]


async def test_a_link_starts_before_its_broker() -> None:
    broker = Mosquitto()
    link = AiomqttLink(broker.address, client_id="one")
    states = States(link)
    async with link.running():
        assert not link.connected
        await broker.start()
        await states.until(True)
    await broker.kill()


async def test_a_link_that_never_connected_ends_at_once() -> None:
    link = AiomqttLink(BrokerAddress("127.0.0.1", free_port()), client_id="one")
    async with asyncio.timeout(120), link.running():
        pass


async def test_a_silent_broker_does_not_hold_up_the_end() -> None:
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server, asyncio.timeout(120):
        port = server.sockets[0].getsockname()[1]
        link = AiomqttLink(BrokerAddress("127.0.0.1", port, protocol="5"), client_id="one")
        async with link.running():
            await asked.wait()


async def test_the_will_speaks_for_who_is_pushed_out() -> None:
    async with running_mosquitto() as broker:
        watcher = AiomqttLink(broker.address, client_id="watcher")
        ear = Ear(watcher, "last/words")
        first = AiomqttLink(broker.address, client_id="twin")
        second = AiomqttLink(broker.address, client_id="twin")
        async with (
            connected(watcher),
            connected(first, will=Will("last/words", b"gone")),
            connected(second),
        ):
            assert (await ear.hears(1))[0] == b"gone"


class Refusals(logging.Handler):
    """Waits for the link to complain."""

    def __init__(self) -> None:
        super().__init__()
        self.said = asyncio.Event()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()
        self.said.set()


async def test_a_wrong_password_is_logged_once_and_tried_again(tmp_path: Path) -> None:
    passwords = tmp_path / "passwd"
    await run("mosquitto_passwd", "-b", "-c", str(passwords), "one", "right")
    settings = f"allow_anonymous false\npassword_file {passwords}\npersistence false\n"
    refusals, logger = Refusals(), logging.getLogger("transports.mqtt.link.aiomqtt_link")
    logger.addHandler(refusals)
    try:
        async with running_mosquitto(settings) as broker:
            right = replace(broker.address, username="one", password="right")
            async with connected(AiomqttLink(right, client_id="one")):
                pass
            wrong = AiomqttLink(replace(right, password="wrong"), client_id="one")
            async with asyncio.timeout(120), wrong.running():
                await refusals.said.wait()
                assert not wrong.connected
    finally:
        logger.removeHandler(refusals)
    assert "Not authorized" in refusals.text


async def test_tls_with_a_client_certificate(tmp_path: Path) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    make += ["-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    make += ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")]
    await run(*make)
    files = f"cafile {tmp_path}/cert\ncertfile {tmp_path}/cert\nkeyfile {tmp_path}/key\n"
    broker = Mosquitto(files + "require_certificate true\n" + OPEN_SETTINGS)
    await broker.start()
    cert, key = str(tmp_path / "cert"), str(tmp_path / "key")
    address = replace(broker.address, tls=True, ca_file=cert, cert_file=cert, key_file=key)
    link = AiomqttLink(address, client_id="one")
    ear = Ear(link, "here")
    async with connected(link), asyncio.timeout(120):
        link.publish("here", b"x" * 100_000)
        assert await ear.hears(1) == [b"x" * 100_000]
    await broker.kill()


@pytest.mark.parametrize("kind", ["mosquitto", "amqtt"])
async def test_the_embedded_broker_says_which_it_is(kind: Literal["mosquitto", "amqtt"]) -> None:
    async with embedded_broker(force=kind) as broker:
        assert isinstance(broker, EmbeddedBroker)
        assert broker.kind == kind
        link = AiomqttLink(broker.address, client_id="one")
        async with connected(link), asyncio.timeout(120):
            assert await link.publish("here", b"x") is not Receipt.LOST


async def test_the_embedded_broker_prefers_mosquitto() -> None:
    async with embedded_broker() as broker:
        assert broker.kind == "mosquitto"


EMBED = """
import asyncio
from transports.mqtt.embedded_broker import embedded_broker
async def main():
    async with embedded_broker(force="mosquitto") as broker:
        print(broker.address.port, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children of a death")
async def test_the_embedded_broker_does_not_outlive_a_killed_parent() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", EMBED, stdout=PIPE)
    assert parent.stdout is not None
    async with asyncio.timeout(120):
        port = int(await parent.stdout.readline())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        os.kill(parent.pid, signal.SIGKILL)
        await parent.wait()
        with suppress(ConnectionResetError):
            assert await reader.read() == b"", "the broker's own end closes the connection"
        writer.close()
