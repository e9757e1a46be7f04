"""A client that sends as much as it can, behind the shipped mosquitto.conf: the broker stays small."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.live.brokers import Mosquitto, requires_mosquitto
from tests.live.guarded import Guarded, guarded_broker, listening, reply_through
from tests.transports.mqtt import packets

pytestmark = [pytest.mark.live, requires_mosquitto()]

MIB = 2**20
LONG = b"x" * 250_000


def held_bytes(broker: Mosquitto) -> int:
    """The broker's memory."""
    assert broker._process is not None
    lines = Path(f"/proc/{broker._process.pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


class DeafGateway:
    """The gateway's user on a connection that reads nothing behind its subscription."""

    def __init__(self, guarded: Guarded) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self._socket.connect((guarded.address.host, guarded.address.port))
        password = (guarded.folder / "gateway.password").read_text()
        credentials = text("gateway") + text("gateway") + text(password)
        self._socket.sendall(packets.packet(0x10, text("MQTT") + b"\x04\xc2\x00\x00" + credentials))
        assert self._socket.recv(4) == packets.CONNACK_3_1_1
        self._socket.sendall(packets.packet(0x82, b"\x00\x01" + text("sluice/v1/devices/+/up") + b"\x01"))
        assert self._socket.recv(5)[0] == 0x90

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_device_that_floods_a_slow_gateway_fills_no_memory(tmp_path: Path, qos: int) -> None:
    async with guarded_broker(tmp_path, "gateway", "device-1", "worker-1") as (guarded, broker):
        before = held_bytes(broker)
        deaf = DeafGateway(guarded)
        async with listening(guarded.link("device-1"), ["nothing"]) as device:
            for _ in range(40):
                if qos:
                    sent = [device.link.publish("sluice/v1/devices/device-1/up", LONG) for _ in range(20)]
                    await asyncio.gather(*sent)
                    continue
                connection = device.link._connection
                if connection is None:
                    break  # The broker was at its limit, and hung up on the device.
                for _ in range(20):
                    connection._client.publish("sluice/v1/devices/device-1/up", LONG, 0)
                await device.link.publish("sluice/v1/devices/device-1/cancel", b"x")
        assert held_bytes(broker) - before < (48 if qos else 144) * MIB, "200 MB were sent"
        deaf.close()
        assert await reply_through(guarded) == "ab"


async def test_a_worker_keeps_nothing_under_gateways_that_there_are_not(tmp_path: Path) -> None:
    async with guarded_broker(tmp_path, "gateway", "worker-1") as (guarded, broker):
        before = held_bytes(broker)
        async with listening(guarded.link("worker-1"), ["nothing"]) as worker:
            for number in range(400):
                topic = f"sluice/v1/gateways/invented-{number}/replies/worker-1"
                await worker.link.publish(topic, LONG, retain=True)
        assert held_bytes(broker) - before < 24 * MIB
        assert await reply_through(guarded) == "ab"
