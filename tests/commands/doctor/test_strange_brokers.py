"""The checks of the broker with brokers that end a connection without a refusal, and with other programs."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.commands.doctor.clinic import Examined, doctor
from tests.live.test_mqtt_tls import HOST, certificates
from tests.small_server import Serve, serving

CONNECT, PUBLISH, SUBSCRIBE, DISCONNECT = 0x10, 0x30, 0x80, 0xE0
CONNACK, PUBACK, SUBACK = 0x20, 0x40, 0x90


async def examine(tmp_path: Path, serve: Serve, tls: ssl.SSLContext | None = None, **more: str) -> Examined:
    async with asyncio.timeout(120), serving(serve, tls) as port:
        settings = {"MQTT_BROKER_HOST": "127.0.0.1", "MQTT_BROKER_PORT": str(port), "MQTT_PROTOCOL": "3.1.1"}
        settings |= {"LLM_COMM_MODE": "mqtt", "GATEWAY_NAME": "gateway"}
        return await asyncio.to_thread(doctor, tmp_path, **settings | more)


def broker_that_ends_at(forbidden: bytes) -> Serve:
    """A broker of MQTT 3.1.1 that closes the connection at each packet with these bytes, as RabbitMQ does at
    a publish that is not allowed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            kind, length = await reader.readexactly(2)
            if length >= 128:
                (high,) = await reader.readexactly(1)
                length += (high - 1) * 128
            body = await reader.readexactly(length)
            if forbidden in body or kind & 0xF0 == DISCONNECT:
                return
            if kind & 0xF0 == CONNECT:
                writer.write(bytes([CONNACK, 2, 0, 0]))
            elif kind & 0xF0 == SUBSCRIBE:
                writer.write(bytes([SUBACK, 3, *body[:2], 0]))
            elif kind & 0xF0 == PUBLISH:
                end = 2 + int.from_bytes(body[:2])
                said = body[:end] + body[end + 2 :]
                writer.write(bytes([PUBACK, 2, *body[end : end + 2]]))
                if b"/gateways/" in said:
                    writer.write(bytes([PUBLISH, len(said) % 128 + 128, len(said) // 128]) + said)

    return serve


@pytest.mark.parametrize(
    ("forbidden", "wrong"),
    [
        (b"/devices/doctor-", "may not publish on sluice/v1/devices/+/down: the broker hung up"),
        (b"/devices/+/up", "may not subscribe to sluice/v1/devices/+/up: the broker hung up"),
        (b"/gateway/status", "may not subscribe to sluice/v1/gateways/gateway/status: the broker hung up"),
    ],
)
async def test_a_broker_that_hangs_up_at_the_topic_that_it_forbids(
    tmp_path: Path, forbidden: bytes, wrong: str
) -> None:
    seen = await examine(tmp_path, broker_that_ends_at(forbidden))
    assert (seen.code, seen.level("broker")) == (2, "ok")
    level, said, fix = seen.problem("broker rights")
    assert (level, said) == ("failure", f"anonymous clients {wrong}")
    assert fix.startswith("topic ")


@pytest.mark.parametrize("protocol", ["auto", "5"])
async def test_a_program_that_never_answers_is_not_said_to_close_the_connection(
    tmp_path: Path, protocol: str
) -> None:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    _, wrong, fix = (await examine(tmp_path, serve, MQTT_PROTOCOL=protocol)).problem("broker")
    assert "accepts connections and does not answer: the broker did not answer within" in wrong
    assert fix.startswith("MQTT_TLS=1")


@pytest.mark.parametrize("answers", [True, False])
async def test_behind_a_tls_handshake_it_is_not_advised_to_do_without_tls(
    tmp_path: Path, answers: bool
) -> None:
    """A broker that refuses our certificate often closes the connection without an alert."""

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await (reader.readexactly(2) if answers else reader.read())

    folder = await certificates(tmp_path / "certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    seen = await examine(
        tmp_path, serve, context, MQTT_BROKER_HOST=HOST, MQTT_TLS="1", MQTT_CA_FILE=str(folder / "ca.crt")
    )
    _, wrong, fix = seen.problem("broker")
    assert ("after the TLS handshake" in wrong, "MQTT_CERT_FILE" in fix) == (answers, answers)
    assert "MQTT_TLS" not in fix
