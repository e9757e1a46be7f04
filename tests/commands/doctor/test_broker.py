"""The checks of the broker, of the rights there and of the workers, with a real Mosquitto."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.audit import Actor, Change
from gateway.core.access import OwnerAccess
from gateway.store.sql_store import SqlStore
from tests.commands.doctor.clinic import Examined, doctor
from tests.live.brokers import free_port, requires_mosquitto, running_mosquitto
from tests.live.guarded import SCRIPTS, guarded_broker, listening, make_passwords, shipped_settings
from tests.live.looking import look_again
from tests.live.test_gateway import running_gateway
from tests.live.test_mqtt_names import as_user
from tests.live.test_mqtt_tls import authority
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress
from transports.mqtt.requests.transport import MqttTransport
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, tokens

pytestmark = [pytest.mark.live, requires_mosquitto()]


async def examine(tmp_path: Path, address: BrokerAddress, **settings: Any) -> Examined:
    where = {"MQTT_BROKER_HOST": address.host, "MQTT_BROKER_PORT": str(address.port)}
    defaults = {"LLM_COMM_MODE": "mqtt", "GATEWAY_NAME": "gateway"}
    async with asyncio.timeout(120):
        return await asyncio.to_thread(doctor, tmp_path, **(defaults | where | settings))


async def examine_guarded(tmp_path: Path, without: str | None = None, password: str = "") -> Examined:
    """Use the shipped ACL without one of the gateway's lines."""
    await make_passwords(tmp_path, "gateway")
    rights = (SCRIPTS / "acl").read_text().splitlines(keepends=True)
    kept = [line for line in rights if line.strip() != without]
    assert len(kept) == len(rights) - (without is not None)
    (tmp_path / "acl").write_text("".join(kept))
    password = password or (tmp_path / "gateway.password").read_text()
    async with running_mosquitto(shipped_settings(tmp_path)) as broker:
        return await examine(tmp_path, broker.address, MQTT_USERNAME="gateway", MQTT_PASSWORD=password)


async def test_nothing_listens_at_the_port(tmp_path: Path) -> None:
    port = free_port()
    seen = await examine(tmp_path, BrokerAddress("127.0.0.1", port))
    level, wrong, fix = seen.problem("broker")
    assert (seen.code, level) == (2, "failure")
    assert wrong == f"MQTT_BROKER_HOST=127.0.0.1 MQTT_BROKER_PORT={port}: nothing listens there"
    assert "systemctl start mosquitto" in fix
    assert (seen.level("broker rights"), seen.level("workers")) == ("skipped", "skipped")


async def test_a_name_without_an_address(tmp_path: Path) -> None:
    level, wrong, fix = (await examine(tmp_path, BrokerAddress("nowhere.invalid"))).problem("broker")
    assert (level, "the name has no address" in wrong) == ("failure", True)
    assert fix.startswith("getent hosts nowhere.invalid")


async def test_a_wrong_password(tmp_path: Path) -> None:
    seen = await examine_guarded(tmp_path, password="my-wrong-password")
    level, wrong, fix = seen.problem("broker")
    assert (level, "refuses MQTT_USERNAME=gateway with its password: Not authorized" in wrong) == (
        "failure",
        True,
    )
    assert fix.startswith("mosquitto_passwd PASSWORD_FILE gateway")
    assert "my-wrong-password" not in seen.output


async def test_all_rights_of_the_shipped_acl_are_enough(tmp_path: Path) -> None:
    seen = await examine_guarded(tmp_path)
    assert (seen.level("broker"), seen.level("broker rights")) == ("ok", "ok")


@pytest.mark.parametrize(
    ("without", "wrong", "fix"),
    [
        (
            "topic write sluice/v1/workers/+/inbox",
            "gateway may not publish on sluice/v1/workers/+/inbox",
            'topic write sluice/v1/workers/+/inbox below "user gateway"',
        ),
        (
            "topic write sluice/v1/devices/+/down",
            "gateway may not publish on sluice/v1/devices/+/down",
            'topic write sluice/v1/devices/+/down below "user gateway"',
        ),
        (
            "topic readwrite sluice/v1/gateways/gateway/status",
            "gateway may not publish on sluice/v1/gateways/gateway/status",
            'topic write sluice/v1/gateways/gateway/status below "user gateway"',
        ),
    ],
)
async def test_an_acl_without_one_right(tmp_path: Path, without: str, wrong: str, fix: str) -> None:
    level, said, to_type = (await examine_guarded(tmp_path, without)).problem("broker rights")
    assert (level, said) == ("failure", wrong)
    assert to_type.startswith(fix)


async def test_a_broker_of_an_unknown_authority_and_one_without_tls(tmp_path: Path) -> None:
    ours = await authority(tmp_path / "certificates", "gateway")
    broker = ours.lax_broker()
    await broker.start()
    try:
        seen = await examine(tmp_path, broker.address, MQTT_TLS="1")
        plain = await examine(tmp_path, broker.address)
    finally:
        await broker.kill()
    level, wrong, fix = seen.problem("broker")
    assert (level, "certificate is not accepted" in wrong, "MQTT_CA_FILE" in fix) == ("failure", True, True)
    level, wrong, fix = plain.problem("broker")
    assert (level, fix.startswith("MQTT_TLS=1")) == ("failure", True)

    async with running_mosquitto() as without_tls:
        _, wrong, fix = (await examine(tmp_path, without_tls.address, MQTT_TLS="1")).problem("broker")
    assert ("does not speak TLS" in wrong or "closes the connection" in wrong, "MQTT_TLS" in fix) == (
        True,
        True,
    )


async def test_no_worker_a_ready_one_and_a_disabled_one(tmp_path: Path) -> None:
    async with running_mosquitto() as broker:
        none = await examine(tmp_path, broker.address)
        level, wrong, fix = none.problem("workers")
        assert (level, wrong.startswith("0 of 0 announced workers are ready")) == ("failure", True)
        assert fix.startswith("sluice worker --name worker-1")

        worker = Worker(
            ScriptedTransport(lambda _: tokens("x")), AiomqttLink(broker.address, client_id="worker-1")
        )
        ear = AiomqttLink(broker.address, client_id="ear")
        announced = asyncio.Event()
        ear.subscribe("sluice/v1/workers/+/status", lambda topic, payload, retained: announced.set())
        async with asyncio.timeout(120), ear.running(), worker.running():
            await announced.wait()
            seen = await examine(tmp_path, broker.address)
            store = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'sluice.db'}", access=OwnerAccess())
            async with store.running():
                actor = Actor("ops", "command line")
                rule = Change(actor, "worker.change", "worker-1")
                await store.kept_settings.put("worker/worker-1", {"disabled": True}, rule)
            disabled = await examine(tmp_path, broker.address)
        assert seen.level("workers") == "ok"
        assert "1 of 1 announced workers are ready" in seen.output
        assert disabled.problem("workers") == (
            "failure",
            "0 of 1 announced workers are ready; worker-1 is disabled by an administrator",
            "sluice workers enable worker-1",
        )


async def test_a_gateway_that_runs_meanwhile_is_not_disturbed(tmp_path: Path) -> None:
    """Only workers and devices that do not exist get messages, and nothing is retained."""
    statuses: list[bytes] = []
    announced = asyncio.Event()

    def hear_status(topic: str, payload: bytes, retained: bool) -> None:
        statuses.append(payload)
        announced.set()

    topics = [f"sluice/v1/{rest}" for rest in ("workers/+/inbox", "devices/+/down", "last")]
    async with running_mosquitto() as broker:
        gateway = MqttTransport(AiomqttLink(broker.address, client_id="gateway"))
        ear_link = AiomqttLink(broker.address, client_id="ear")
        ear_link.subscribe("sluice/v1/gateways/gateway/status", hear_status)
        async with listening(ear_link, topics) as ear, gateway.running():
            await announced.wait()
            seen = await examine(tmp_path, broker.address)
            await ear_link.publish("sluice/v1/last", b"last")
            heard = await ear.hear_all()
            assert [status for status in statuses if b'"ready"' not in status] == []
    assert seen.level("broker rights") == "ok"
    assert {topic.split("/")[3][:7] for topic, _ in heard} == {"doctor-"}


async def test_beside_a_connected_gateway_it_names_what_is_broken_and_takes_no_connection(
    tmp_path: Path,
) -> None:
    """With the shipped mosquitto.conf a second connection of the same user ends the first one."""
    right = "topic write sluice/v1/workers/+/inbox"
    async with asyncio.timeout(120), guarded_broker(tmp_path, "gateway", "worker-1") as (guarded, broker):
        settings = as_user(guarded, "gateway", "5")
        worker = Worker(ScriptedTransport(lambda _: tokens("x")), guarded.link("worker-1"))
        async with (
            running_gateway(tmp_path, LLM_COMM_MODE="mqtt", GATEWAY_NAME="gateway", **settings) as gateway,
            worker.running(),
        ):
            port = str(gateway.http.base_url.port)
            while (await gateway.http.get("/ready")).status_code != 200:
                await look_again()
            well = await examine(tmp_path, guarded.address, PORT=port, **settings)

            acl = (tmp_path / "acl").read_text()
            assert right in acl
            (tmp_path / "acl").write_text(acl.replace(right, ""))
            broker.reload()
            while not (await gateway.http.get("/api/admin/broker")).json()["refused_topics"]:
                await look_again()
            await gateway.http.patch("/api/admin/workers/worker-1", json={"disabled": True})
            broken = await examine(tmp_path, guarded.address, PORT=port, **settings)

            await gateway.http.post("/api/admin/keys", json={"user": "ops", "scopes": ["admin"]})
            without_key = await examine(tmp_path, guarded.address, PORT=port, **settings)
            metrics = (await gateway.http.post("/api/admin/keys", json={})).status_code
    assert metrics == 401
    for seen in (well, broken, without_key):
        assert f"the running gateway is connected to 127.0.0.1:{guarded.address.port}" in seen.output
    assert (well.level("broker rights"), well.level("workers")) == ("ok", "ok")
    _, wrong, fix = broken.problem("broker rights")
    assert wrong == "gateway may not publish on sluice/v1/workers/+/inbox"
    assert fix.startswith(f'{right} below "user gateway"')
    assert broken.problem("workers") == (
        "failure",
        "0 of 1 announced workers are ready; worker-1 is disabled by an administrator",
        "sluice workers enable worker-1",
    )
    assert (without_key.level("broker rights"), without_key.level("workers")) == ("skipped", "skipped")
    assert "set SLUICE_API_KEY" in without_key.output
