"""The shipped mosquitto.conf, ACL and scripts, on a real Mosquitto: who may do what.

Mosquitto answers "granted" to forbidden subscriptions, so delivery is what counts.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.brokers import requires_mosquitto
from tests.live.docker_engine import requires_docker
from tests.live.guarded import (
    PROJECT,
    Guarded,
    guarded_broker,
    listening,
    make_passwords,
    reply_through,
    run_script,
)
from transports.mqtt.link.link import BrokerAddress, Will

pytestmark = [pytest.mark.live, requires_mosquitto()]

CLIENTS = ("gateway", "worker-1", "device-1", "worker-2", "probe")


def own_status(name: str) -> str:
    return f"sluice/v1/{name.split('-')[0]}s/{name}/status"


def own_topic(name: str) -> str:
    """A topic that this client may read."""
    return "sluice/v1/devices/device-1/down" if name == "device-1" else own_status(name)


FORBIDDEN_WRITES = [
    ("worker-1", "sluice/v1/workers/worker-2/status"),
    ("worker-1", "sluice/v1/workers/worker-2/inbox"),
    ("worker-1", "sluice/v1/workers/worker-1/inbox"),
    ("worker-1", "sluice/v1/gateways/gateway/replies/worker-2"),
    ("worker-1", "sluice/v1/gateways/gateway/status"),
    ("worker-1", "sluice/v1/gateways/invented/replies/worker-1"),
    ("worker-1", "sluice/v1/devices/device-1/down"),
    ("device-1", "sluice/v1/devices/device-2/up"),
    ("device-1", "sluice/v1/devices/device-1/down"),
    ("device-1", "sluice/v1/workers/device-1/status"),
    ("device-1", "sluice/v1/workers/worker-1/status"),
    ("device-1", "sluice/v1/gateways/gateway/status"),
    ("device-1", "sluice/v1/gateways/gateway/replies/worker-1"),
    ("device-1", "sluice/v1/workers/worker-1/inbox"),
    ("device-1", "sluice/v1/gateways/gateway/replies/device-1"),
    ("gateway", "sluice/v1/workers/worker-1/status"),
    ("gateway", "sluice/v1/gateways/other/status"),
]
ALLOWED_WRITES = [
    ("worker-1", "sluice/v1/workers/worker-1/status"),
    ("worker-1", "sluice/v1/gateways/gateway/replies/worker-1"),
    ("device-1", "sluice/v1/devices/device-1/up"),
    ("device-1", "sluice/v1/devices/device-1/cancel"),
    ("device-1", "sluice/v1/devices/device-1/status"),
    ("gateway", "sluice/v1/workers/worker-1/inbox"),
    ("gateway", "sluice/v1/devices/device-1/down"),
    ("gateway", "sluice/v1/gateways/gateway/status"),
]


async def test_everybody_writes_where_they_may_and_nowhere_else(tmp_path: Path) -> None:
    everywhere = [topic for _, topic in FORBIDDEN_WRITES + ALLOWED_WRITES]
    async with (
        guarded_broker(tmp_path, *CLIENTS) as (guarded, _),
        listening(guarded.link("probe"), everywhere) as probe,
    ):
        for name, topic in FORBIDDEN_WRITES + ALLOWED_WRITES:
            async with listening(guarded.link(name), ["nothing"]) as client:
                await client.link.publish(topic, name.encode())
        await probe.link.publish(everywhere[0], b"last")
        assert await probe.hear_all() == {(topic, name) for name, topic in ALLOWED_WRITES}


async def test_a_last_will_may_not_say_more_than_its_client(tmp_path: Path) -> None:
    will, own_will = Will("sluice/v1/workers/worker-1/status", b"x"), Will(own_status("device-1"), b"x")
    async with (
        guarded_broker(tmp_path, *CLIENTS) as (guarded, _),
        listening(guarded.link("probe"), [will.topic, own_will.topic]) as probe,
    ):
        for last_words in (will, own_will):
            async with (
                listening(guarded.link("device-1"), ["nothing"], last_words),
                listening(guarded.link("device-1"), ["nothing"]),
            ):
                pass  # the broker pushed the first one off, and lets its will speak if it may
        await probe.link.publish(will.topic, b"last")
        assert await probe.hear_all() == {(own_will.topic, "x")}


async def test_nobody_is_pushed_off_by_another_who_takes_his_client_id(tmp_path: Path) -> None:
    async with (
        guarded_broker(tmp_path, *CLIENTS) as (guarded, _),
        listening(guarded.link("gateway"), ["sluice/v1/workers/+/status"]) as gateway,
    ):
        ups_and_downs: list[bool] = []
        gateway.link.watch(ups_and_downs.append)
        async with listening(guarded.link("device-1", client_id="gateway"), ["nothing"]):
            pass
        async with listening(guarded.link("worker-1"), ["nothing"]) as worker:
            await worker.link.publish(own_status("worker-1"), b"last")
            await gateway.hear_all()
        assert ups_and_downs == []


FORBIDDEN_READS = [
    ("worker-1", "sluice/v1/workers/worker-2/inbox"),
    ("worker-1", "sluice/v1/workers/worker-2/status"),
    ("worker-1", "sluice/v1/gateways/gateway/replies/worker-2"),
    ("worker-1", "sluice/v1/devices/device-1/up"),
    ("device-1", "sluice/v1/devices/device-2/down"),
    ("device-1", "sluice/v1/devices/device-1/status"),
    ("device-1", "sluice/v1/workers/worker-1/inbox"),
    ("device-1", "sluice/v1/gateways/gateway/replies/worker-1"),
    ("gateway", "sluice/v1/workers/worker-1/inbox"),
    ("gateway", "sluice/v1/gateways/other/replies/worker-1"),
]
ALLOWED_READS = [
    ("worker-1", "sluice/v1/workers/worker-1/inbox"),
    ("worker-1", "sluice/v1/workers/worker-1/status"),
    ("worker-1", "sluice/v1/gateways/gateway/status"),
    ("device-1", "sluice/v1/devices/device-1/down"),
    ("gateway", "sluice/v1/gateways/gateway/replies/worker-1"),
    ("gateway", "sluice/v1/workers/worker-1/status"),
    ("gateway", "sluice/v1/devices/device-1/up"),
    ("gateway", "sluice/v1/devices/device-1/cancel"),
    ("gateway", "sluice/v1/devices/device-1/status"),
]


async def test_everybody_reads_what_they_may_and_nothing_else(tmp_path: Path) -> None:
    async with (
        guarded_broker(tmp_path, *CLIENTS) as (guarded, _),
        listening(guarded.link("probe"), ["nothing"]) as probe,
    ):
        for name in ("gateway", "worker-1", "device-1"):
            tried = [topic for reader, topic in FORBIDDEN_READS + ALLOWED_READS if reader == name]
            async with listening(guarded.link(name), [*tried, own_topic(name)]) as reader:
                for topic in tried:
                    await probe.link.publish(topic, b"x")
                await probe.link.publish(own_topic(name), b"last")
                allowed = {(topic, "x") for reader_name, topic in ALLOWED_READS if reader_name == name}
                assert await reader.hear_all() == allowed


@pytest.mark.parametrize("reader", ["worker-1", "device-1"])
async def test_nobody_reads_more_by_a_wildcard(tmp_path: Path, reader: str) -> None:
    others = ["sluice/v1/devices/device-2/down", "sluice/v1/workers/worker-2/inbox"]
    wildcards = ["sluice/v1/devices/+/down", "sluice/v1/workers/+/inbox"]
    async with (
        guarded_broker(tmp_path, *CLIENTS) as (guarded, _),
        listening(guarded.link(reader), [*wildcards, own_topic(reader)]) as ear,
        listening(guarded.link("probe"), ["nothing"]) as probe,
    ):
        for topic in others:
            await probe.link.publish(topic, b"x")
        await probe.link.publish(own_topic(reader), b"last")
        assert await ear.hear_all() == set()


async def test_a_reply_passes_with_these_rights(tmp_path: Path) -> None:
    async with guarded_broker(tmp_path, *CLIENTS) as (guarded, _):
        assert await reply_through(guarded) == "ab"


async def test_a_new_worker_is_let_in_while_the_broker_runs(tmp_path: Path) -> None:
    async with guarded_broker(tmp_path, *CLIENTS) as (guarded, broker):
        assert (await run_script("add.sh", tmp_path, "worker", "w-17"))[0] == 0
        broker.reload()
        assert await reply_through(guarded, "w-17") == "ab"


async def test_add_writes_what_the_shipped_acl_says(tmp_path: Path) -> None:
    for role, name in (("gateway", "gateway"), ("worker", "worker-1"), ("device", "device-1")):
        assert (await run_script("add.sh", tmp_path, role, name))[0] == 0
    assert rights_in(tmp_path / "acl") == rights_in(PROJECT / "deploy/mosquitto/acl")


def rights_in(acl: Path) -> set[tuple[str, str]]:
    """Each client's lines."""
    rights, client = set(), ""
    for line in acl.read_text().splitlines():
        if line.startswith("user "):
            client = line
        elif line.startswith("topic "):
            rights.add((client, line))
    return rights


async def test_add_gives_each_worker_a_line_for_each_gateway_whoever_came_first(tmp_path: Path) -> None:
    for role, name in (("worker", "w-1"), ("gateway", "a"), ("gateway", "b"), ("worker", "w-2")):
        assert (await run_script("add.sh", tmp_path, role, name))[0] == 0
    rights = rights_in(tmp_path / "acl")
    for worker in ("w-1", "w-2"):
        written = {line for client, line in rights if client == f"user {worker}" and "replies" in line}
        assert written == {f"topic write sluice/v1/gateways/{name}/replies/{worker}" for name in ("a", "b")}


async def test_add_makes_several_gateways_at_once(tmp_path: Path) -> None:
    assert (await run_script("add.sh", tmp_path, "worker", "w-1"))[0] == 0
    assert (await run_script("add.sh", tmp_path, "gateway", "gw", "--count", "3"))[0] == 0
    names = ("gw-1", "gw-2", "gw-3")
    rights = rights_in(tmp_path / "acl")
    written = {line for client, line in rights if client == "user w-1" and "replies" in line}
    assert written == {f"topic write sluice/v1/gateways/{name}/replies/w-1" for name in names}
    for name in names:
        assert ("user " + name, f"topic read sluice/v1/gateways/{name}/replies/+") in rights
        assert (tmp_path / f"{name}.password").read_text()
    assert not (tmp_path / "gw.password").exists()


@pytest.mark.parametrize("more", [["--count"], ["--count", "0"], ["--count", "x"], ["--count", "-1"], ["3"]])
async def test_add_refuses_a_wrong_count(tmp_path: Path, more: list[str]) -> None:
    code, said = await run_script("add.sh", tmp_path, "gateway", "gw", *more)
    assert code == 2
    assert "--count" in said
    assert not (tmp_path / "acl").exists()


async def test_add_takes_too_wide_rights_from_an_older_file_and_leaves_the_rest(tmp_path: Path) -> None:
    status, replies = "sluice/v1/workers/w-1/status", "sluice/v1/gateways/+/replies/w-1"
    kept = ["user shell-1", f"topic write {status}", f"topic write {replies}"]
    older = ["user d-1", "topic readwrite sluice/v1/devices/d-1/status"]
    older += ["user w-1", f"topic readwrite {status}", f"topic write {replies}", *kept]
    (tmp_path / "acl").write_text("\n".join(older) + "\n")
    assert (await run_script("add.sh", tmp_path, "gateway", "gw"))[0] == 0
    assert (await run_script("add.sh", tmp_path, "device", "d-1"))[0] == 0
    rights = rights_in(tmp_path / "acl")
    assert {line for client, line in rights if client == "user d-1"} == {
        "topic write sluice/v1/devices/d-1/status"
    }
    assert {line for client, line in rights if client == "user w-1"} == {
        "topic readwrite sluice/v1/workers/w-1/status",
        "topic write sluice/v1/gateways/gw/replies/w-1",
    }
    assert {line for client, line in rights if client == kept[0]} == set(kept[1:])


async def test_add_changes_nothing_the_second_time(tmp_path: Path) -> None:
    async def added() -> tuple[str, str]:
        assert (await run_script("add.sh", tmp_path, "device", "robot-1", MQTT_TOPIC_ROOT="home"))[0] == 0
        return (tmp_path / "acl").read_text(), (tmp_path / "robot-1.password").read_text()

    first = await added()
    assert "topic write home/devices/robot-1/up" in first[0]
    assert await added() == first


@pytest.mark.parametrize(
    ("role", "name", "complaint"),
    [
        ("worker", "a/b", "no name"),
        ("worker", "+", "no name"),
        ("worker", "-b", "no name"),
        ("worker", "", "no name"),
        ("worker", "two\nlines", "no name"),
        ("worker", "x" * 65, "at most 64"),
        ("king", "w-1", "no role"),
        ("worker", "known-device", "something else"),
    ],
)
async def test_add_refuses(tmp_path: Path, role: str, name: str, complaint: str) -> None:
    await run_script("add.sh", tmp_path, "device", "known-device")
    before = (tmp_path / "acl").read_text()
    code, said = await run_script("add.sh", tmp_path, role, name)
    assert code == 2
    assert complaint in said
    assert (tmp_path / "acl").read_text() == before


async def test_passwords_are_made_once_and_for_their_reader_only(tmp_path: Path) -> None:
    await make_passwords(tmp_path, "gateway")
    first = (tmp_path / "gateway.password").read_text()
    await make_passwords(tmp_path, "gateway", "worker-1")
    assert (tmp_path / "gateway.password").read_text() == first
    assert re.fullmatch("[0-9a-f]{48}", first)
    assert (tmp_path / "worker-1.password").read_text() != first
    for name in ("passwd", "gateway.password", "worker-1.password"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
    assert first not in (tmp_path / "passwd").read_text()


@pytest.fixture
def mosquitto_container(tmp_path: Path) -> Iterator[Guarded]:
    """eclipse-mosquitto:2 with the shipped files."""
    requires_docker()
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    tmp_path.chmod(0o755)  # the broker changes to a user of its own
    for shipped in ("mosquitto.conf", "deploy/mosquitto/acl", "deploy/mosquitto/make_passwords.sh"):
        shutil.copy(PROJECT / shipped, tmp_path)
    start = "sh /mosquitto/config/make_passwords.sh /mosquitto/config gateway worker-1"
    start += " && chmod a+r /mosquitto/config/*.password"  # the test need not be root
    start += " && echo they are made && exec mosquitto -c /mosquitto/config/mosquitto.conf"
    container = DockerContainer("eclipse-mosquitto:2").with_exposed_ports(1883)
    container.with_volume_mapping(str(tmp_path), "/mosquitto/config", "rw").with_command(["sh", "-c", start])
    container.waiting_for(LogMessageWaitStrategy("they are made").with_startup_timeout(20))
    with container:
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(1883))
        yield Guarded(BrokerAddress(host, port), tmp_path)


async def test_the_shipped_files_work_in_the_official_image(mosquitto_container: Guarded) -> None:
    assert await reply_through(mosquitto_container) == "ab"
