"""TLS and client certificates of the shipped script on a real Mosquitto, and the errors when they fail."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.contract.certificates import check_certificates
from gateway.contract.record import replace
from tests.live.brokers import OPEN_SETTINGS, Mosquitto, free_port, requires_mosquitto
from tests.live.guarded import SCRIPTS, listening, run_script, shipped_settings
from tests.live.looking import look_again
from tests.live.nursery import forked_sluice
from tests.live.test_gateway import running_gateway
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress

pytestmark = [pytest.mark.live, requires_mosquitto()]

HOST = "127.0.0.1"


async def certificates(folder: Path, *names: str, host: str = HOST, days: int = 1) -> Path:
    code, said = await run_script("make_certificates.sh", folder, host, *names, DAYS=str(days))
    assert code == 0, said
    return folder


BY_CERTIFICATE = "require_certificate true\nuse_identity_as_username true\n"


@dataclass
class Authority:
    """A folder with an authority and the certificates of the broker and its clients."""

    folder: Path

    def broker(self, clients: "Authority | None" = None) -> Mosquitto:
        """A broker with the shipped settings and certificates in place of passwords.

        clients: the authority of the clients' certificates, if it is another one.
        """
        (self.folder / "acl").write_text((SCRIPTS / "acl").read_text())
        (self.folder / "passwd").touch()
        return Mosquitto(shipped_settings(self.folder) + self._files(clients or self) + BY_CERTIFICATE)

    def lax_broker(self) -> Mosquitto:
        """A broker that requires no client certificate."""
        return Mosquitto(self._files(self) + OPEN_SETTINGS)

    def _files(self, clients: "Authority") -> str:
        own = f"certfile {self.folder}/server.crt\nkeyfile {self.folder}/server.key\n"
        return f"cafile {clients.folder}/ca.crt\n{own}"

    def link(self, address: BrokerAddress, name: str, client_id: str | None = None) -> AiomqttLink:
        """A client with a certificate for `name` that trusts only this authority."""
        secured = replace(
            address,
            tls=True,
            ca_file=f"{self.folder}/ca.crt",
            cert_file=f"{self.folder}/{name}.crt",
            key_file=f"{self.folder}/{name}.key",
        )
        return AiomqttLink(secured, client_id=client_id or name)


async def authority(folder: Path, *names: str, host: str = HOST, days: int = 1) -> Authority:
    code, said = await run_script("make_certificates.sh", folder, host, *names, DAYS=str(days))
    assert code == 0, said
    return Authority(folder)


@asynccontextmanager
async def running(broker: Mosquitto, at: BrokerAddress | None = None) -> AsyncIterator[Mosquitto]:
    broker.address = at or broker.address
    await broker.start()
    try:
        yield broker
    finally:
        await broker.kill()


async def test_the_certificate_says_who_somebody_is(tmp_path: Path) -> None:
    ours = await authority(tmp_path, "gateway", "worker-1", "device-1")
    heard = "sluice/v1/workers/worker-1/status"
    async with (
        running(ours.broker()) as broker,
        listening(ours.link(broker.address, "gateway"), [heard]) as gateway,
        listening(ours.link(broker.address, "device-1", client_id="worker-1"), ["nothing"]) as impostor,
        listening(ours.link(broker.address, "worker-1"), ["nothing"]) as worker,
    ):
        await impostor.link.publish(heard, b"a device")
        await worker.link.publish(heard, b"the worker")
        await worker.link.publish(heard, b"last")
        assert await gateway.hear_all() == {(heard, "the worker")}


class Ups:
    """Events that are set when a link first reports that it is up, and that it is down."""

    def __init__(self, link: AiomqttLink) -> None:
        self.up, self.down = asyncio.Event(), asyncio.Event()
        link.watch(lambda connected: (self.up if connected else self.down).set())


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "no MQTT broker" in record.getMessage()]


async def says_once_and_recovers(
    link: AiomqttLink, bad: Mosquitto, good: Mosquitto, caplog: pytest.LogCaptureFixture
) -> str:
    """Return the one line that the link logs about a bad broker.

    The link keeps trying: asserts that it connects when a good broker replaces the bad one.
    """
    ups = Ups(link)
    async with asyncio.timeout(120), AsyncExitStack() as stack:
        async with running(bad, link.address):
            await stack.enter_async_context(link.running())
            await ups.down.wait()
            assert not link.connected
        async with running(good, link.address):
            await ups.up.wait()
    (said,) = complaints(caplog)
    assert "\n" not in said
    return said


def somewhere() -> BrokerAddress:
    return BrokerAddress(HOST, free_port())


async def twin(of: Authority, folder: Path, *names: str, host: str = HOST, days: int = 1) -> Authority:
    """Make other certificates of the same authority."""
    shutil.copytree(of.folder, folder, ignore=lambda _, names: [name for name in names if name[:3] != "ca."])
    return await authority(folder, *names, host=host, days=days)


async def test_a_broker_of_another_authority_is_not_trusted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, other = await authority(tmp_path / "ours", "gateway"), await authority(tmp_path / "other")
    link = ours.link(somewhere(), "gateway")
    said = await says_once_and_recovers(link, other.broker(), ours.broker(), caplog)
    assert "certificate verify failed: self-signed certificate" in said


async def test_an_expired_broker_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours = await authority(tmp_path / "ours", "gateway")
    expired = await twin(ours, tmp_path / "expired", days=-1)
    link = ours.link(somewhere(), "gateway")
    said = await says_once_and_recovers(link, expired.broker(), ours.broker(), caplog)
    assert "certificate has expired" in said


async def test_a_broker_of_another_name_is_not_trusted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = await authority(tmp_path / "ours", "gateway")
    elsewhere = await twin(ours, tmp_path / "elsewhere", host="broker.example")
    link = ours.link(somewhere(), "gateway")
    said = await says_once_and_recovers(link, elsewhere.broker(), ours.broker(), caplog)
    assert "certificate is not valid for '127.0.0.1'" in said


REFUSED = re.compile("certificate|unknown ca")
"""In TLS 1.3 a broker refuses after the handshake, by an alert or by closing, whichever arrives first."""


async def test_a_client_without_a_certificate_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = await authority(tmp_path, "gateway")
    address = replace(ours.link(somewhere(), "gateway").address, cert_file=None, key_file=None)
    link = AiomqttLink(address, client_id="gateway")
    assert REFUSED.search(await says_once_and_recovers(link, ours.broker(), ours.lax_broker(), caplog))


async def test_a_client_of_another_authority_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, other = await authority(tmp_path / "ours", "gateway"), await authority(tmp_path / "other")
    link = ours.link(somewhere(), "gateway")
    said = await says_once_and_recovers(link, ours.broker(other), ours.broker(), caplog)
    assert REFUSED.search(said)


async def test_an_expired_client_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours = await authority(tmp_path / "ours")
    expired = await twin(ours, tmp_path / "expired", "gateway", days=-1)
    link = expired.link(somewhere(), "gateway")
    assert REFUSED.search(await says_once_and_recovers(link, ours.broker(), ours.lax_broker(), caplog))


async def test_who_forgot_tls_is_asked_about_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    link = AiomqttLink(somewhere(), client_id="gateway")
    tls = (await authority(tmp_path)).broker()
    assert "does it want TLS?" in await says_once_and_recovers(link, tls, Mosquitto(), caplog)


async def test_gateway_and_worker_come_in_by_their_settings(tmp_path: Path) -> None:
    ours = await authority(tmp_path / "certificates", "gateway", "worker-1")
    other = await authority(tmp_path / "other")
    address = somewhere()

    def settings_of(name: str) -> dict[str, str]:
        link = ours.link(address, name).address
        return {
            "MQTT_BROKER_HOST": HOST,
            "MQTT_BROKER_PORT": str(link.port),
            "MQTT_TLS": "1",
            "MQTT_CA_FILE": str(link.ca_file),
            "MQTT_CERT_FILE": str(link.cert_file),
            "MQTT_KEY_FILE": str(link.key_file),
        }

    async def missing() -> list[str]:
        return list((await gateway.http.get("/ready")).json()["missing"])

    async with AsyncExitStack() as stack, asyncio.timeout(120):
        async with running(other.broker(), address):
            mode = {"LLM_COMM_MODE": "mqtt", "GATEWAY_NAME": "gateway"}
            starting = running_gateway(tmp_path, **mode, **settings_of("gateway"))
            gateway = await stack.enter_async_context(starting)
            await gateway.program.until_said("no MQTT broker at .*certificate verify failed")
            assert await missing() == ["mode mqtt: the MQTT broker is away"]
        await stack.enter_async_context(running(ours.broker(), address))
        command = ("worker", "--name", "worker-1", "--llm-url", f"http://{HOST}:{free_port()}")
        await stack.enter_async_context(forked_sluice(*command, cwd=None, **settings_of("worker-1")))
        while not [worker["name"] for worker in (await gateway.http.get("/api/chatbot/workers")).json()]:
            await look_again()  # without a model server it announces itself and takes no requests
        while await missing() == ["mode mqtt: the MQTT broker is away"]:
            await look_again()  # `/ready` may be cached for a second
        assert await missing() == ["mode mqtt: no MQTT worker is ready"]


async def test_an_encrypted_key_is_refused_at_the_start(tmp_path: Path) -> None:
    await authority(tmp_path, "gateway")
    cert, key, encrypted = (tmp_path / name for name in ("gateway.crt", "gateway.key", "encrypted.key"))
    command = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-out", str(encrypted), "-passout", "pass:x"]
    assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0
    files = {"ca_file": str(tmp_path / "ca.crt"), "cert_file": str(cert)}
    check_certificates(**files, key_file=str(key))
    with pytest.raises(ValueError, match=r"MQTT_KEY_FILE=.* must not be encrypted"):
        check_certificates(**files, key_file=str(encrypted))


async def test_everybody_may_look_for_certificates_and_nobody_else_reads_a_key(tmp_path: Path) -> None:
    made = await authority(tmp_path / "new", "gateway")
    assert made.folder.stat().st_mode & 0o055 == 0o055  # the broker runs as another system user
    modes = {file.name: file.stat().st_mode & 0o077 for file in made.folder.iterdir()}
    assert {name for name, mode in modes.items() if mode} == {"ca.crt", "server.crt", "gateway.crt"}
