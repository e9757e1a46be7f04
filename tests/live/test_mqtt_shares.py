"""Access to the gateways' group `$share/gateways`, and the damage that another client does in it.

An acl_file cannot refuse a subscription: Mosquitto gives the other client its share of the chats, then drops
them. These tests apply the remedies that docs/mqtt.md, "Security", describes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.contract.record import replace
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.guarded import (
    SCRIPTS,
    Guarded,
    guarded_broker,
    listening,
    make_passwords,
    reply_through,
    run_script,
)
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress

pytestmark = [pytest.mark.live, requires_mosquitto()]

CHATS = 10
CLIENTS = ("gateway", "worker-1", "device-1", "probe")
OWN_STATUS = "sluice/v1/gateways/gateway/status"


async def chats_heard(gateway: AiomqttLink, stranger: AiomqttLink, device: AiomqttLink) -> int:
    """Return how many of CHATS chats reach the gateway while another client tries to join its group."""
    heard: list[str] = []
    for link in (gateway, stranger):
        group_of = heard if link is gateway else []
        link.subscribe(
            "sluice/v1/devices/+/up", lambda topic, *_, to=group_of: to.append(topic), group="gateways"
        )
    async with (
        listening(gateway, [OWN_STATUS]) as ear,
        trying(stranger),
        listening(device, ["sluice/v1/devices/device-1/down"]),
        asyncio.timeout(120),
    ):
        for _ in range(CHATS):
            await device.publish("sluice/v1/devices/device-1/up", b"{}")
        await gateway.publish(OWN_STATUS, b"last")
        await ear.hear_all()
    return len(heard)


@asynccontextmanager
async def trying(stranger: AiomqttLink) -> AsyncIterator[None]:
    """Let `stranger` subscribe; enter when the broker has accepted or refused it."""
    answered = asyncio.Event()
    stranger.watch(lambda _: answered.set())
    async with stranger.running():
        await answered.wait()
        yield


async def test_beside_an_acl_file_a_stranger_swallows_chats(tmp_path: Path) -> None:
    async with guarded_broker(tmp_path, *CLIENTS) as (guarded, _):
        links = (guarded.link(name) for name in ("gateway", "worker-1", "device-1"))
        assert await chats_heard(*links) == CHATS // 2


async def test_a_gateway_that_speaks_3_1_1_shares_with_nobody(tmp_path: Path) -> None:
    async with guarded_broker(tmp_path, *CLIENTS) as (guarded, _):
        plain = replace(guarded, address=replace(guarded.address, protocol="3.1.1"))
        links = (plain.link("gateway"), guarded.link("worker-1"), guarded.link("device-1"))
        assert await chats_heard(*links) == CHATS


def plugin() -> Path:
    (found,) = Path("/usr/lib").rglob("mosquitto_dynamic_security.so")
    return found


@asynccontextmanager
async def dynamic_security(folder: Path) -> AsyncIterator[Guarded]:
    """Run Mosquitto with its dynamic security plugin, set up by the shipped script, and no ACL file."""
    await make_passwords(folder, *CLIENTS)
    (folder / "acl").write_text((SCRIPTS / "acl").read_text())
    kept = folder / "dynamic-security.json"
    admin = ("mosquitto_ctrl", "dynsec", "init", str(kept), "admin", "secret")
    process = await asyncio.create_subprocess_exec(*admin, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    settings = f"allow_anonymous false\npersistence false\nplugin {plugin()}\nplugin_opt_config_file {kept}\n"
    async with running_mosquitto(settings) as broker:
        guarded = Guarded(broker.address, folder)
        code, said = await run_script("dynamic_security.sh", folder, *options(broker.address))
        assert code == 0, said
        yield guarded


def options(address: BrokerAddress) -> list[str]:
    return ["-h", address.host, "-p", str(address.port), "-u", "admin", "-P", "secret"]


async def test_the_dynamic_security_plugin_keeps_strangers_out(tmp_path: Path) -> None:
    async with dynamic_security(tmp_path) as guarded:
        links = [guarded.link(name) for name in ("gateway", "worker-1", "device-1")]
        assert await chats_heard(*links) == CHATS
        assert await reply_through(guarded) == "ab"


@pytest.mark.parametrize("wrong", [("-P", "guessed"), ("-p", "1")], ids=["password", "port"])
async def test_what_the_plugin_was_not_told_is_said(tmp_path: Path, wrong: tuple[str, str]) -> None:
    async with dynamic_security(tmp_path) as guarded:
        code, said = await run_script("dynamic_security.sh", tmp_path, *options(guarded.address), *wrong)
    assert code == 2
    assert "nothing was brought over" in said
