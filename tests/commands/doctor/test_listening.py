"""The check of the address that the gateway listens on."""

import asyncio
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.contract.transport import Health
from tests.commands.doctor.clinic import doctor
from tests.live.brokers import free_port
from tests.live.scripted_model import scripted_model
from tests.store.faults import locked
from tests.store.migrated import migrated
from tests.web.gateway_server import served
from transports.scripted import ScriptedTransport, tokens


async def test_a_running_gateway_is_named(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        port = str(urlsplit(gateway.url).port)
        seen = await asyncio.to_thread(doctor, tmp_path, PORT=port)
    assert seen.level("listening") == "ok"
    assert f"listens at http://127.0.0.1:{port}\n" in seen.output


@pytest.mark.parametrize("hosts", ["chat.example", "[2001:db8::1]", "localhost,chat.example"])
async def test_a_running_gateway_that_is_asked_under_other_names_only(tmp_path: Path, hosts: str) -> None:
    """As deploy/kubernetes before its first key."""
    async with served(tmp_path, lambda _: tokens("x"), allowed_hosts=hosts) as gateway:
        port = str(urlsplit(gateway.url).port)
        seen = await asyncio.to_thread(doctor, tmp_path, PORT=port, ALLOWED_HOSTS=hosts)
    assert seen.level("listening") == "ok", seen.output


class Away(ScriptedTransport):
    """A transport whose other end is away."""

    async def health(self) -> Health:
        return Health(False, "nobody is here")


async def test_a_gateway_that_is_not_ready_says_why(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), kind=Away) as gateway:
        seen = await asyncio.to_thread(doctor, tmp_path, PORT=str(urlsplit(gateway.url).port))
    level, wrong, fix = seen.problem("listening")
    assert (level, wrong) == ("failure", "the running gateway is not ready: mode sse: nobody is here")
    assert fix.startswith("sluice mode; sluice workers list")


async def test_a_database_that_another_program_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.probe.FRESH_S", 0.0)
    async with served(
        tmp_path, lambda _: tokens("x"), database_url=migrated(tmp_path / "sluice.db")
    ) as gateway:
        with locked(tmp_path / "sluice.db"):
            seen = await asyncio.to_thread(doctor, tmp_path, PORT=str(urlsplit(gateway.url).port))
    level, wrong, fix = seen.problem("listening")
    assert level == "failure"
    assert wrong.startswith("the running gateway is not ready: database: The database takes no changes: ")
    assert fix.startswith(f"sudo fuser -v {tmp_path / 'sluice.db'}; ")


async def test_another_program_on_the_port(tmp_path: Path) -> None:
    async with scripted_model() as url:
        port = urlsplit(url).port
        seen = await asyncio.to_thread(doctor, tmp_path, PORT=str(port))
    level, wrong, fix = seen.problem("listening")
    assert (seen.code, level) == (2, "failure")
    assert f"HOST=127.0.0.1 PORT={port}: another program than a gateway" in wrong
    assert f"ss -ltnp 'sport = :{port}'" in fix


def test_a_port_that_is_bound_without_listening_is_free_and_a_held_one_is_not(tmp_path: Path) -> None:
    assert doctor(tmp_path, PORT=str(free_port())).level("listening") == "ok"
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        seen = doctor(tmp_path, PORT=str(held.getsockname()[1]))
    level, wrong, _ = seen.problem("listening")
    assert (level, "cannot be used: Address already in use" in wrong) == ("failure", True)


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    _, wrong, fix = doctor(tmp_path, HOST="192.0.2.1", ALLOW_OPEN="1", PORT="8000").problem("listening")
    assert wrong == "HOST=192.0.2.1 is not an address of this machine"
    assert "HOST" in fix


def test_an_internal_url_of_another_machine(tmp_path: Path) -> None:
    away = {"DATABASE_URL": f"postgresql+asyncpg://sluice@/sluice?host={tmp_path}", "ALLOW_OPEN": "1"}
    seen = doctor(tmp_path, INTERNAL_URL="http://192.0.2.1:9101", PORT="0", **away)
    _, wrong, fix = seen.problem("listening")
    assert (
        wrong == "INTERNAL_URL=http://192.0.2.1:9101 is not an address of this machine: no gateway can start"
    )
    assert "INTERNAL_URL" in fix
    one = {"HOST": "0.0.0.0", "PORT": "8000", "INTERNAL_URL": "http://192.0.2.1:8000"}  # as behind a NAT
    assert "INTERNAL_URL" not in doctor(tmp_path, **one, **away).output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on every port")
def test_a_port_that_only_root_may_use(tmp_path: Path) -> None:
    _, wrong, fix = doctor(tmp_path, PORT="81").problem("listening")
    assert ("only root" in wrong, fix.startswith("PORT=8000")) == (True, True)
